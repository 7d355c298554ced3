"""A picture of one continuous episode: instruction, plan with the walk, and what the agent saw."""

import re

import numpy as np
from PIL import Image

from clipnav.envs.continuous.environments.rendering import draw_plan, picture_pair
from clipnav.envs.continuous.environments.single_env import ContinuousEnv
from clipnav.envs.continuous.settings import ACTION_NAMES
from clipnav.envs.drawing.canvas import CARD, INK, MUTED, PAPER, Canvas
from clipnav.envs.drawing.depth import depth_scale
from clipnav.envs.drawing.words import TextBox
from clipnav.storage.errors import UserError

PLAN_SIZE = 640, 824  # width and height in pixels
_UNIT = 1.5  # pixels per pixel of a frame of 1280 x 720
_GAP, _CAPTION, _TEXT_HEIGHT, _PICTURE = 12, 36, 128, 320  # pixels


def draw_episode(env: ContinuousEnv, instr_id: str, pictures: int = 4) -> np.ndarray:
    """Let the teacher walk through an episode and draw it.

    Returns:
        (H, W, 3) uint8 RGB: the plan with the reference path (green) and the walk (blue) on the
        left, the instruction and the pictures on the right, depth below colour.
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
    core, trace = env.core, env.core.traces()[0]
    chosen = np.linspace(0, len(captions) - 1, pictures).round().astype(int)
    poses = trace.positions[chosen], trace.headings[chosen], np.zeros(pictures)
    scans = [env.episode.scan] * pictures
    rgb, depth = picture_pair(core.simulator, scans, poses, (_PICTURE, core.settings))
    floor = core.simulator.floor(env.episode.scan)
    plan = draw_plan(floor, env.episode, trace, (PLAN_SIZE, _UNIT), core.settings)
    left, strip = PLAN_SIZE[0] + 2 * _GAP, pictures * (_PICTURE + _GAP) - _GAP
    image = Image.new("RGB", (left + strip + _GAP, PLAN_SIZE[1] + 2 * _GAP), PAPER)
    image.paste(plan, (_GAP, _GAP))
    image.paste(_words(env.episode.instruction, (strip, _TEXT_HEIGHT)), (left, _GAP))
    top = _GAP + _TEXT_HEIGHT + _CAPTION
    for number, moment in enumerate(chosen):
        x = left + number * (_PICTURE + _GAP)
        caption = Canvas((_PICTURE, _CAPTION), PAPER)
        caption.text((2, _CAPTION / 2), captions[moment], 16, INK, "lm", bold=True)
        image.paste(caption.finished(), (x, top - _CAPTION))
        for row, seen in enumerate((rgb[number], depth[number])):
            picture = Image.fromarray(seen).resize((_PICTURE, _PICTURE * len(seen) // len(seen[0])))
            image.paste(picture, (x, top + row * (_PICTURE + _GAP)))
    scale = depth_scale(300, core.settings.max_depth, 15)
    corner = image.width - _GAP - scale.width - 8, top + 2 * _PICTURE + _GAP - scale.height - 8
    image.paste(scale, corner, scale)
    return np.array(image)


def _words(instruction: str, size: tuple[int, int]) -> Image.Image:
    canvas = Canvas(size, CARD)
    canvas.text((16, 20), "INSTRUCTION", 13, MUTED, "lm", bold=True)
    box = TextBox(re.findall(r"\S+\s*", instruction), (size[0] - 32, size[1] - 40), 1.0)
    box.draw(canvas, (16, 34), np.zeros(len(box.words)), 0.0)
    return canvas.finished()
