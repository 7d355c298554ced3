"""Frames of a continuous episode: colour, depth, plan with the walk, instruction."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image

from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.environments.walks import ContinuousWalks
from clipnav.envs.continuous.episodes import ContinuousEpisode
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.continuous.simulator import Floor, Simulator
from clipnav.envs.drawing.canvas import AGENTS, DARK
from clipnav.envs.drawing.depth import depth_colours, depth_scale
from clipnav.envs.drawing.frame import VIEW_SIZE, EpisodeFrame, map_size
from clipnav.envs.drawing.plan_map import MapContent, PlanMap
from clipnav.envs.drawing.scenes import house_plan, plan_content
from clipnav.envs.drawing.words import path_progress

_GAP = 8  # pixels between the two pictures
_SLOT = (VIEW_SIZE[0] - _GAP) // 2, VIEW_SIZE[1]


def draw_frames(
    simulator: Simulator,
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
    rgb, depth = picture_pair(
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
        bar = depth_scale(180, settings.max_depth)
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


def picture_pair(
    simulator: Simulator,
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
    return seen["rgb"], depth_colours(depth, settings.max_depth)


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
    canvas = plan.canvas(storey)
    points = [plan.pixel(position) for position in trace.positions]
    canvas.line([*points, points[-1]], AGENTS[0], 3.5 * size[1])
    plan.write_rooms(canvas, storey)
    across = math.radians(settings.hfov)
    plan.draw_cone(canvas, points[-1], (float(trace.headings[-1]), across), AGENTS[0])
    plan.draw_agent(canvas, points[-1], AGENTS[0])
    return canvas.finished()


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
