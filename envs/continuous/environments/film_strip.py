"""A picture of one continuous episode: instruction, plan with the walk, and what the agent saw."""

import math

import numpy as np
from PIL import Image, ImageDraw

from clipnav.envs.continuous.environments.rendering import draw_plan
from clipnav.envs.continuous.environments.single_env import ContinuousEnv
from clipnav.envs.continuous.settings import ACTION_NAMES
from clipnav.envs.navigation.rendering.fonts import font_for
from clipnav.envs.navigation.rendering.frames import (
    INK,
    PAPER,
    REFERENCE,
    WALKED,
    write_instruction,
)
from clipnav.storage.errors import UserError

PLAN_SIZE = 420, 420  # height and width in pixels
_MARGIN, _CAPTION, _TEXT_HEIGHT, _PICTURE = 12, 22, 96, 156  # pixels


def draw_episode(env: ContinuousEnv, instr_id: str, pictures: int = 4) -> np.ndarray:
    """Let the teacher walk through an episode and draw it.

    Returns:
        (H, W, 3) uint8 RGB: the plan with the reference path (green) and the walk (orange) on the
        left, the instruction and the pictures on the right.
    """
    if pictures < 2:
        raise UserError(f"pictures is {pictures}, but must be at least 2")
    _, info = env.reset(seed=0, options={"episode_id": instr_id})
    captions = ["start"]
    terminated = truncated = False
    while not (terminated or truncated):
        action = info["teacher_action"]
        _, _, terminated, truncated, info = env.step(action)
        captions.append(f"{info['steps']}: {ACTION_NAMES[action]}")
    strip = _strip(env, captions, pictures)
    floor = env.core.simulator.floor(env.episode.scan)
    plan = draw_plan(floor, env.episode, env.core.traces()[0], PLAN_SIZE)
    content = max(PLAN_SIZE[0], _TEXT_HEIGHT + len(strip)) + _MARGIN
    height = content + _CAPTION + _MARGIN
    left = PLAN_SIZE[1] + 2 * _MARGIN
    depth = env.core.settings.max_depth
    rows = f"above: colour; below: depth, black 0 m to white {depth:g} m or more"
    legend = 4 + math.ceil(font_for(rows, 12).getlength(rows))
    width = left + max(strip.shape[1], legend) + _MARGIN
    image = Image.new("RGB", (width, height), PAPER)
    image.paste(Image.fromarray(plan), (_MARGIN, _MARGIN))
    room = strip.shape[1], _TEXT_HEIGHT
    write_instruction(ImageDraw.Draw(image), env.episode.instruction, (left, _MARGIN), room)
    image.paste(Image.fromarray(strip), (left, _TEXT_HEIGHT + _MARGIN))
    _write_legend(image, content + 6, left, rows)
    return np.array(image)


def _write_legend(image: Image.Image, top: int, left: int, rows: str) -> None:
    """Write what the plan shows, and at `left` what the rows of pictures show."""
    draw = ImageDraw.Draw(image)
    x = float(_MARGIN)
    for text, colour in (("reference path", REFERENCE), ("walk of the teacher", WALKED)):
        font = font_for(text, 12)
        draw.text((x, top), text, fill=colour, font=font)
        x += draw.textlength(text, font=font) + 2 * _MARGIN
    draw.text((left + 4, top), rows, fill=INK, font=font_for(rows, 12))


def _strip(env: ContinuousEnv, captions: list[str], pictures: int) -> np.ndarray:
    """Return the pictures of moments that are spread evenly over the episode."""
    trace, core = env.core.traces()[0], env.core
    chosen = np.linspace(0, len(captions) - 1, pictures).round().astype(int)
    poses = trace.positions[chosen], trace.headings[chosen], np.zeros(pictures)
    scans = [env.episode.scan] * pictures
    seen = core.simulator.draw(scans, *poses, ("rgb", "depth"))
    shades = 255 * np.clip(seen["depth"] / core.settings.max_depth, 0, 1)
    columns = [
        _column(rgb, depth, captions[moment])
        for rgb, depth, moment in zip(seen["rgb"], shades.astype(np.uint8), chosen, strict=True)
    ]
    return np.concatenate(columns, axis=1)


def _column(rgb: np.ndarray, depth: np.ndarray, caption: str) -> np.ndarray:
    """Return the colour and the depth of a moment, one above the other, with a caption."""
    size = _PICTURE
    image = Image.new("RGB", (size + 8, 2 * size + _CAPTION + 8), PAPER)
    for row, picture in enumerate((Image.fromarray(rgb), Image.fromarray(depth))):
        scale = size / max(picture.size)
        small = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        image.paste(small, (4, _CAPTION + row * (size + 4)))
    ImageDraw.Draw(image).text((4, 2), caption, fill=INK, font=font_for(caption, 12))
    return np.array(image)
