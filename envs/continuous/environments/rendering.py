"""Pictures of a continuous episode: frames, and one picture of a whole walk."""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.episodes import ContinuousEpisode
from clipnav.envs.continuous.settings import ACTION_NAMES, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator, Floor
from clipnav.envs.drawing.canvas import AGENTS, CARD, DARK, INK, MUTED, PAPER, Canvas, text_width
from clipnav.envs.drawing.frame import VIEW_SIZE, EpisodeFrame, map_size
from clipnav.envs.drawing.plan_map import MapContent, PlanMap
from clipnav.envs.drawing.scenes import house_plan, plan_content
from clipnav.envs.drawing.words import TextBox, path_progress
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.continuous.environments.single_env import ContinuousEnv

_GAP = 8  # pixels between the two pictures
_SLOT = (VIEW_SIZE[0] - _GAP) // 2, VIEW_SIZE[1]
PLAN_SIZE = 640, 824  # width and height in pixels
_UNIT = 1.5  # pixels per pixel of a frame of 1280 x 720
_SPACE, _CAPTION, _TEXT_HEIGHT, _PICTURE = 12, 36, 128, 320  # pixels


def draw_frames(
    simulator: ContinuousSimulator,
    episodes: Sequence[ContinuousEpisode],
    traces: Sequence[PoseTrace],
    walks: ContinuousWalks,
    settings: ContinuousSettings,
) -> tuple[np.ndarray, ...]:
    """Draw what each agent sees and where it is.

    Returns:
        (720, 1280, 3) uint8 RGB per agent: the colour picture, the depth picture with its scale,
        figures, instruction, and the plan with reference path and walk.
    """
    rgb, depth = _picture_pair(
        simulator,
        [episode.scan for episode in episodes],
        (
            np.array([trace.positions[-1] for trace in traces]),
            np.array([trace.headings[-1] for trace in traces]),
            walks.tilt_angles,
        ),
        (_SLOT[0], settings),
    )
    ended = walks.terminated | walks.truncated
    frames = []
    for agent, (episode, trace) in enumerate(zip(episodes, traces, strict=True)):
        view = Image.new("RGB", VIEW_SIZE, DARK)
        for number, picture in enumerate((rgb[agent], depth[agent])):
            image = Image.fromarray(picture)
            scale = min(_SLOT[0] / image.width, _SLOT[1] / image.height)
            image = image.resize((round(image.width * scale), round(image.height * scale)))
            left = number * (_SLOT[0] + _GAP) + (_SLOT[0] - image.width) // 2
            view.paste(image, (left, (_SLOT[1] - image.height) // 2))
        bar = _depth_scale(180, settings.max_depth)
        view.paste(bar, (VIEW_SIZE[0] - bar.width - 12, VIEW_SIZE[1] - bar.height - 18), bar)
        distance = float(walks.distances[agent])
        floor = simulator.floor(episode.scan)
        end = bool(ended[agent]), episode.has_goal and distance < settings.success_distance
        frames.append(_frame(floor, episode, trace, view, (distance, settings, *end)))
    return tuple(frames)


def _frame(
    floor: Floor,
    episode: ContinuousEpisode,
    trace: PoseTrace,
    view: Image.Image,
    state: tuple[float, ContinuousSettings, bool, bool],
) -> np.ndarray:
    """Draw a frame; the state is distance to the goal, settings, ended and success."""
    distance, settings, ended, success = state
    positions = trace.positions
    steps = len(positions) - 1
    length = float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())
    figures = [("walked", f"{length:.1f} m"), ("actions", str(steps))]
    progress, distances = None, []
    if episode.has_goal:
        figures = [("to the goal", f"{distance:.1f} m"), *figures]
        goal = np.array(episode.reference_path[-1])
        distances = floor.distances(positions, goal).tolist()
        progress = float(path_progress(positions, np.array(episode.reference_path))[-1])
    return EpisodeFrame(
        view=view,
        plan=draw_plan(floor, episode, trace, (map_size(with_strip=False), 1.0), settings),
        strip=None,
        names=(episode.instr_id, episode.scan),
        instruction=episode.instruction,
        progress=progress,
        figures=figures,
        distances=distances,
        radius=settings.success_distance,
        ended=ended,
        success=success,
    ).draw()


def _depth_colours(depth: np.ndarray, farthest: float) -> np.ndarray:
    """Return the colours (..., 3) uint8 of depths in metres, clipped at `farthest`."""
    from matplotlib import colormaps

    return colormaps["viridis_r"](np.clip(depth / farthest, 0, 1), bytes=True)[..., :3]


def _depth_scale(width: int, farthest: float, letters: float = 12) -> Image.Image:
    """Return a scale (RGBA) from 0 to `farthest` metres, to lay on a picture."""
    height = round(2 * letters)
    canvas = Canvas((width, height), (0, 0, 0, 0))
    canvas.box((0, 0, width, height), (*DARK, 215), height / 4)
    ends = "0 m", f"{farthest:g} m"
    left, right = (text_width(end, letters) + 1.4 * letters for end in ends)
    canvas.text((0.7 * letters, height / 2), ends[0], letters, CARD, "lm")
    canvas.text((width - 0.7 * letters, height / 2), ends[1], letters, CARD, "rm")
    bar = max(1, round(width - left - right)), max(1, round(0.8 * letters))
    ramp = np.broadcast_to(np.linspace(0, farthest, bar[0]), bar[::-1])
    scale = canvas.finished()
    scale.paste(
        Image.fromarray(_depth_colours(ramp, farthest)), (round(left), (height - bar[1]) // 2)
    )
    return scale


def _picture_pair(
    simulator: ContinuousSimulator,
    scans: Sequence[str],
    poses: tuple[np.ndarray, np.ndarray, np.ndarray],
    size: tuple[int, ContinuousSettings],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw colours and coloured depths (N, H, W, 3) uint8 of positions, headings and tilts.

    Args:
        size: Width of the pictures, for simulators that can draw other sizes than an agent's, and
            the settings of the agent.
    """
    width, settings = size
    resized = getattr(simulator, "resized", None)
    if resized:
        high, wide = settings.rgb_size
        simulator = resized((round(width * high / wide), width))
    seen = simulator.draw(scans, *poses, ("rgb", "depth"))
    # Where nothing was hit, the depth is 0.
    depth = np.where(seen["depth"] > 0, seen["depth"], settings.max_depth)
    return seen["rgb"], _depth_colours(depth, settings.max_depth)


def draw_plan(
    floor: Floor,
    episode: ContinuousEpisode,
    trace: PoseTrace,
    size: tuple[tuple[int, int], float],
    settings: ContinuousSettings,
) -> Image.Image:
    """Draw the plan around an episode with its reference path and the walk of the agent.

    Args:
        size: Width and height of the picture, and pixels per pixel of a frame of 1280 x 720.
    """
    here = trace.positions[-1]
    plan, storey = _plan_map(floor, episode, round(float(here[2]), 1), size, settings)
    view = float(trace.headings[-1]), math.radians(settings.hfov)
    return plan.draw_walk(storey, list(trace.positions), view)


@lru_cache(maxsize=32)
def _plan_map(
    floor: Floor,
    episode: ContinuousEpisode,
    height: float,
    size: tuple[tuple[int, int], float],
    settings: ContinuousSettings,
) -> tuple[PlanMap, int]:
    """Return the map at about a height in metres, and the storey."""
    plan = house_plan(episode.scan)

    def is_free(points: np.ndarray) -> np.ndarray:
        return floor.contains(np.column_stack([points, np.full(len(points), height)]))

    content = MapContent(
        scene={"viewpoints": {}, "edges": [], "plan": plan_content(plan)},
        walked=[episode.start],
        path=episode.reference_path,
        names=[("walked", AGENTS[0])],
        radius=settings.success_distance,
        is_free=is_free,
    )
    return PlanMap(content, *size), 0 if plan is None else plan.storey_at(height + 0.1)


def draw_episode(env: "ContinuousEnv", instr_id: str, pictures: int = 4) -> np.ndarray:
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
    rgb, depth = _picture_pair(core.simulator, scans, poses, (_PICTURE, core.settings))
    floor = core.simulator.floor(env.episode.scan)
    plan = draw_plan(floor, env.episode, trace, (PLAN_SIZE, _UNIT), core.settings)
    left, strip = PLAN_SIZE[0] + 2 * _SPACE, pictures * (_PICTURE + _SPACE) - _SPACE
    image = Image.new("RGB", (left + strip + _SPACE, PLAN_SIZE[1] + 2 * _SPACE), PAPER)
    image.paste(plan, (_SPACE, _SPACE))
    words = Canvas((strip, _TEXT_HEIGHT), CARD)
    words.text((16, 20), "INSTRUCTION", 13, MUTED, "lm", bold=True)
    pieces = re.findall(r"\S+\s*", env.episode.instruction)
    box = TextBox(pieces, (strip - 32, _TEXT_HEIGHT - 40), 1.0)
    box.draw(words, (16, 34), np.zeros(len(pieces)), 0.0)
    image.paste(words.finished(), (left, _SPACE))
    top = _SPACE + _TEXT_HEIGHT + _CAPTION
    for number, moment in enumerate(chosen):
        x = left + number * (_PICTURE + _SPACE)
        caption = Canvas((_PICTURE, _CAPTION), PAPER)
        caption.text((2, _CAPTION / 2), captions[moment], 16, INK, "lm", bold=True)
        image.paste(caption.finished(), (x, top - _CAPTION))
        for row, seen in enumerate((rgb[number], depth[number])):
            picture = Image.fromarray(seen).resize((_PICTURE, _PICTURE * len(seen) // len(seen[0])))
            image.paste(picture, (x, top + row * (_PICTURE + _SPACE)))
    scale = _depth_scale(300, core.settings.max_depth, 15)
    corner = (
        image.width - _SPACE - scale.width - 8,
        top + 2 * _PICTURE + _SPACE - scale.height - 8,
    )
    image.paste(scale, corner, scale)
    return np.array(image)
