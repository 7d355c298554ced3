"""Frames of a continuous episode: colour, depth, floor plan with the walk, instruction."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.episodes import ContinuousEpisode
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.continuous.simulator import Floor, Simulator
from clipnav.envs.navigation.rendering.fonts import font_for
from clipnav.envs.navigation.rendering.frames import (
    FAINT,
    INK,
    PAPER,
    REFERENCE,
    VIEW_CONE,
    WALKED,
    draw_dot,
    write_instruction,
)

WIDTH, PICTURE_HEIGHT, PANEL_HEIGHT = 960, 360, 280
PLAN_WIDTH = 400
_CELL = 0.05  # metres between the points of the plan
_MARGIN = 1.0  # metres of the plan around the points that must be visible

Rectangle = tuple[float, float, float, float]


def draw_frames(
    simulator: Simulator,
    episodes: Sequence[ContinuousEpisode],
    traces: Sequence[PoseTrace],
    walks: ContinuousWalks,
    settings: ContinuousSettings,
) -> tuple[np.ndarray, ...]:
    """Draw what each agent sees and where it is.

    Returns:
        (640, 960, 3) uint8 RGB per agent. The upper part is the colour picture and the depth
        picture; the lower part is the plan (reference path green, walk orange) and the instruction.
    """
    positions = np.array([trace.positions[-1] for trace in traces])
    headings = np.array([trace.headings[-1] for trace in traces])
    scans = [episode.scan for episode in episodes]
    seen = simulator.draw(scans, positions, headings, walks.tilt_angles, ("rgb", "depth"))
    shades = np.clip(seen["depth"] / settings.max_depth, 0, 1)
    depth = (255 * shades).astype(np.uint8)[..., None].repeat(3, axis=-1)
    return tuple(
        draw_frame(
            simulator.floor(episode.scan),
            episode,
            trace,
            (seen["rgb"][agent], depth[agent]),
            float(walks.distances[agent]),
        )
        for agent, (episode, trace) in enumerate(zip(episodes, traces, strict=True))
    )


def draw_frame(
    floor: Floor,
    episode: ContinuousEpisode,
    trace: PoseTrace,
    pictures: Sequence[np.ndarray],
    distance: float,
) -> np.ndarray:
    """Draw one frame; see `draw_frames`.

    Args:
        pictures: Pictures (H, W, 3) uint8 for the upper part, from left to right.
        distance: Distance to the goal in metres, NaN where the goal is secret.
    """
    frame = Image.new("RGB", (WIDTH, PICTURE_HEIGHT + PANEL_HEIGHT), PAPER)
    slot = WIDTH // len(pictures)
    for number, picture in enumerate(pictures):
        _paste(frame, picture, slot * number, slot)
    plan = draw_plan(floor, episode, trace, (PANEL_HEIGHT, PLAN_WIDTH))
    frame.paste(Image.fromarray(plan), (0, PICTURE_HEIGHT))
    draw = ImageDraw.Draw(frame)
    left, top = PLAN_WIDTH + 20, PICTURE_HEIGHT + 16
    steps = len(trace.positions) - 1
    state = f"{episode.scan}   episode {episode.instr_id}   {steps} actions"
    if episode.has_goal:
        state += f"   {distance:.1f} m to the goal"
    draw.text((left, top), state, fill=INK, font=font_for(state, 14))
    room = WIDTH - left - 20, PANEL_HEIGHT - 60
    write_instruction(draw, episode.instruction, (left, top + 32), room)
    return np.array(frame)


def draw_plan(
    floor: Floor, episode: ContinuousEpisode, trace: PoseTrace, size: tuple[int, int]
) -> np.ndarray:
    """Draw the floor around an episode with its reference path and the walk of the agent.

    Args:
        size: Height and width of the picture in pixels.

    Returns:
        (H, W, 3) uint8 RGB, north up.
    """
    height, width = size
    reference = np.array(episode.reference_path or (episode.start,))
    points = np.concatenate([reference, trace.positions])
    lows, highs = points[:, :2].min(axis=0) - _MARGIN, points[:, :2].max(axis=0) + _MARGIN
    scale = float((np.array([width, height]) / (highs - lows)).min())
    middle = (lows + highs) / 2
    reach = np.array([width, height]) / (2 * scale)
    (x0, y0), (x1, y1) = np.round(middle - reach, 2), np.round(middle + reach, 2)
    ground = _free_mask(floor, (x0, y0, x1, y1), round(float(trace.positions[-1, 2]), 2))
    shades = np.where(ground[..., None], 255, np.array(FAINT)).astype(np.uint8)
    picture = Image.fromarray(shades).resize((width, height), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)

    def pixels(positions: np.ndarray) -> list[tuple[float, float]]:
        x = (positions[:, 0] - x0) / (x1 - x0) * width
        y = (y1 - positions[:, 1]) / (y1 - y0) * height
        return list(zip(x.tolist(), y.tolist(), strict=True))

    if episode.has_goal:
        way = pixels(reference)
        draw.line(way, fill=REFERENCE, width=4, joint="curve")
        draw_dot(draw, way[-1], 7, None, outline=REFERENCE)
    walked = pixels(trace.positions)
    draw.line(walked, fill=WALKED, width=2)
    x, y = walked[-1]
    # PIL measures angles clockwise from the right, headings are clockwise from the top.
    ahead = np.rad2deg(trace.headings[-1]) - 90
    draw.pieslice((x - 18, y - 18, x + 18, y + 18), ahead - 30, ahead + 30, fill=VIEW_CONE)
    draw_dot(draw, walked[-1], 5, WALKED)
    return np.array(picture)


@lru_cache(maxsize=32)
def _free_mask(floor: Floor, area: Rectangle, height: float) -> np.ndarray:
    """Return (Y, X) bool, north up, where an agent can stand at about a height in metres."""
    x0, y0, x1, y1 = area
    x, y = np.arange(x0, x1, _CELL) + _CELL / 2, np.arange(y1, y0, -_CELL) - _CELL / 2
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, np.full(len(grid), height)])
    free = floor.contains(points)
    return free.reshape(len(y), len(x))


def _paste(frame: Image.Image, picture: np.ndarray, left: int, slot: int) -> None:
    """Paste a picture into the middle of a slot of the upper part."""
    image = Image.fromarray(picture)
    scale = min(slot / image.width, PICTURE_HEIGHT / image.height)
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    corner = left + (slot - image.width) // 2, (PICTURE_HEIGHT - image.height) // 2
    frame.paste(image, corner)
