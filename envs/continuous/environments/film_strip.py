"""A picture of one continuous episode: instruction, plan with the walk, and what the agent saw."""

import numpy as np
from PIL import Image, ImageDraw

from envs.continuous.environments.rendering import draw_plan
from envs.continuous.environments.single_env import ContinuousEnv
from envs.continuous.settings import ACTION_NAMES
from envs.navigation.rendering.fonts import font_for
from envs.navigation.rendering.frames import INK, PAPER, write_instruction

PLAN_SIZE = 420, 420  # height and width in pixels
_MARGIN, _CAPTION = 12, 22


def draw_episode(env: ContinuousEnv, instr_id: str, pictures: int = 4) -> np.ndarray:
    """Let the teacher walk through an episode and draw it.

    Args:
        env: Environment with a teacher and the sensors "rgb" and "depth".
        instr_id: The episode.
        pictures: Number of moments of which colour and depth are shown, start and stop included.

    Returns:
        (H, W, 3) uint8 RGB: the plan with the reference path (green) and the walk (orange) on the
        left, the instruction and the pictures on the right.

    Raises:
        ValueError: There is no such episode, or fewer than two pictures are requested.
    """
    if pictures < 2:
        raise ValueError(f"pictures is {pictures}, but must be at least 2")
    observation, info = env.reset(seed=0, options={"episode_id": instr_id})
    moments = [(observation, "start")]
    terminated = truncated = False
    while not (terminated or truncated):
        action = info["teacher_action"]
        observation, _, terminated, truncated, info = env.step(action)
        moments.append((observation, f"{info['steps']}: {ACTION_NAMES[action]}"))
    chosen = np.linspace(0, len(moments) - 1, pictures).round().astype(int)
    trace = env.core.traces()[0]
    floor = env.core.simulator.floor(env.episode.scan)
    plan = draw_plan(floor, env.episode, trace, PLAN_SIZE)
    columns = [_column(moments[moment][0], moments[moment][1], env) for moment in chosen]
    strip = np.concatenate(columns, axis=1)
    text_height = 96
    height = max(PLAN_SIZE[0], text_height + len(strip)) + 2 * _MARGIN
    width = PLAN_SIZE[1] + strip.shape[1] + 3 * _MARGIN
    image = Image.new("RGB", (width, height), PAPER)
    image.paste(Image.fromarray(plan), (_MARGIN, _MARGIN))
    left = PLAN_SIZE[1] + 2 * _MARGIN
    room = strip.shape[1], text_height
    write_instruction(ImageDraw.Draw(image), env.episode.instruction, (left, _MARGIN), room)
    image.paste(Image.fromarray(strip), (left, text_height + _MARGIN))
    return np.array(image)


def _column(observation: dict[str, np.ndarray], caption: str, env: ContinuousEnv) -> np.ndarray:
    """Return the colour and the depth of a moment, one above the other, with a caption."""
    size = 156
    image = Image.new("RGB", (size + 8, 2 * size + _CAPTION + 8), PAPER)
    shades = observation["depth"][..., 0]
    if not env.core.settings.normalize_depth:
        shades = shades / env.core.settings.max_depth
    depth = (255 * np.clip(shades, 0, 1)).astype(np.uint8)
    for row, picture in enumerate((Image.fromarray(observation["rgb"]), Image.fromarray(depth))):
        scale = size / max(picture.size)
        small = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        image.paste(small, (4, _CAPTION + row * (size + 4)))
    ImageDraw.Draw(image).text((4, 2), caption, fill=INK, font=font_for(caption, 12))
    return np.array(image)
