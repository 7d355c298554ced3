"""Frames of an episode on a graph: view with numbered candidates, map, strip, instruction."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from clipnav.envs.drawing.camera import Camera, Pose, Standpoint, bare_panorama
from clipnav.envs.drawing.canvas import AGENTS, CARD, DARK, INK, MUTED, Canvas
from clipnav.envs.drawing.frame import STRIP_SIZE, STYLE, VIEW_SIZE, EpisodeFrame, map_size
from clipnav.envs.drawing.plan_map import MapContent, PlanMap
from clipnav.envs.drawing.scenes import scene
from clipnav.envs.drawing.words import path_progress
from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.goal import Goal, radius_of
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.pictures.panorama_files import Pictures
from clipnav.envs.pictures.world_pictures import world_pictures
from clipnav.envs.submissions.files import Trajectory
from clipnav.envs.worlds import WorldFiles

_PANORAMA_WIDTH = 2048
_ACROSS = math.radians(92)  # field of view of the camera
_PITCH = -0.14  # radians; slightly down, so that the markers on the floor are visible
_UP = math.radians(45)  # elevation of the upper edge of the strip
_CAMERA = Camera(*VIEW_SIZE, _ACROSS)
_RADIUS = 24  # pixels of a marker


def draw_frame(
    graph: NavGraph,
    episode: Episode,
    trajectory: Trajectory,
    files: WorldFiles,
    pictures: Pictures | None,
    ended: bool = False,
) -> np.ndarray:
    """Draw the current viewpoint of an agent.

    Args:
        trajectory: Viewpoint, heading and elevation (radians) of each visit so far.
        pictures: Panoramas; None for a world without, which shows a floor with grid lines.
        ended: Whether the episode has ended.

    Returns:
        (720, 1280, 3) uint8 RGB: the view with the candidates labelled with their actions, figures,
        instruction, map and panorama strip.
    """
    viewpoint, heading, _ = trajectory[-1]
    position = graph.positions[graph.index(viewpoint)]
    height = float(graph.heights[graph.index(viewpoint)])
    if pictures is None:
        panorama = bare_panorama(position, height)
    else:
        panorama = pictures.rgb(episode.scan, viewpoint, _PANORAMA_WIDTH)
    visited = np.array([graph.positions[graph.index(name)] for name, *_ in trajectory])
    figures = [("walked", f"{np.linalg.norm(np.diff(visited, axis=0), axis=1).sum():.1f} m")]
    distances, progress, success = [], None, False
    if episode.has_goal:
        goals = episode.goal.viewpoints
        distances = [graph.geodesic_to(name, goals) for name, *_ in trajectory]
        success = distances[-1] < episode.goal.success_radius(SUCCESS_THRESHOLD)
        figures = [("to the goal", f"{distances[-1]:.1f} m"), *figures]
        path = np.array([graph.positions[graph.index(name)] for name in episode.path])
        progress = float(path_progress(visited, path)[-1])
    return EpisodeFrame(
        view=_view(graph, viewpoint, heading, Standpoint(panorama, position, height)),
        plan=_map(graph, episode, trajectory, files),
        strip=_strip(panorama, heading, graph, viewpoint),
        names=(episode.instr_id, episode.scan),
        instruction=episode.instruction,
        progress=progress,
        figures=figures,
        distances=distances,
        radius=radius_of(episode.target, SUCCESS_THRESHOLD),
        ended=ended,
        success=success,
    ).draw()


def draw_frames(
    graphs: Mapping[str, NavGraph],
    episodes: Sequence[Episode],
    trajectories: Sequence[Trajectory],
    ended: Sequence[bool] | np.ndarray,
    files: WorldFiles,
    skyboxes: Path | None = None,
) -> tuple[np.ndarray, ...]:
    """Draw the current viewpoints of several agents, see `draw_frame`.

    Panoramas are those of the built-in houses, or of Matterport3D's skyboxes if there are some.
    """
    source = _pictures(files, skyboxes)
    pictures = None if source.note else source
    return tuple(
        draw_frame(graphs[episode.scan], episode, trajectory, files, pictures, bool(end))
        for episode, trajectory, end in zip(episodes, trajectories, ended, strict=True)
    )


@lru_cache(maxsize=4)
def _pictures(files: WorldFiles, skyboxes: Path | None) -> Pictures:
    return world_pictures(files, skyboxes)


def _candidates(graph: NavGraph, viewpoint: str) -> list[tuple[np.ndarray, float]]:
    """Return the offset to the floor of each candidate in metres, and its distance, by action."""
    node = graph.index(viewpoint)
    targets = candidate_table(graph).targets[node]
    offsets = graph.positions[targets[targets >= 0]] - graph.positions[node]
    floors = offsets - graph.heights[targets[targets >= 0], None] * [0, 0, 1]
    return list(zip(floors, np.linalg.norm(offsets, axis=1).tolist(), strict=True))


def _view(graph: NavGraph, viewpoint: str, heading: float, place: Standpoint) -> Image.Image:
    """Draw the view ahead, and the number and distance of each candidate on its floor."""
    pose = Pose(heading, _PITCH)
    picture = Image.fromarray(_CAMERA.look(place, pose)).convert("RGBA")
    canvas = Canvas(VIEW_SIZE, (0, 0, 0, 0))
    marks = list(enumerate(_candidates(graph, viewpoint), 1))
    # Far candidates first, so that near ones are drawn on top.
    for action, ((east, north, up), distance) in sorted(marks, key=lambda one: -one[1][1]):
        elevation = math.atan2(up, math.hypot(east, north))
        ((x, y),) = _CAMERA.project([math.atan2(east, north)], [elevation], pose)
        if math.isnan(x) or not -_RADIUS < x < VIEW_SIZE[0] + _RADIUS:
            continue
        # Markers of near candidates below the picture are moved to its edge.
        y = min(float(y), VIEW_SIZE[1] - _RADIUS - 6)
        canvas.circle((x, y), _RADIUS + 2, (*DARK, 70))
        canvas.circle((x, y), _RADIUS, (*CARD, 255), (*AGENTS[0], 255), 3)
        canvas.text((x, y - 5), str(action), 17, INK, "mm", bold=True)
        canvas.text((x, y + 11), f"{distance:.1f} m", 10, MUTED, "mm")
    picture.alpha_composite(canvas.finished())
    return picture.convert("RGB")


def _strip(panorama: np.ndarray, heading: float, graph: NavGraph, viewpoint: str) -> Image.Image:
    """Draw 360 by 90 degrees with the heading in the middle, and the number of each candidate."""
    rows, columns = panorama.shape[:2]
    kept = panorama[rows // 4 : rows - rows // 4]
    shift = -round(heading / (2 * math.pi) * columns)
    picture = Image.fromarray(np.roll(kept, shift, axis=1)).resize(STRIP_SIZE).convert("RGBA")
    canvas = Canvas(STRIP_SIZE, (0, 0, 0, 0))
    width, height = STRIP_SIZE
    for side in (-1, 1):  # the field of view of the camera
        x = width / 2 + side * _ACROSS / (2 * math.pi) * width / 2
        canvas.line([(x, 0), (x, height)], (*CARD, 255), 1.5)
    for action, ((east, north, up), _) in enumerate(_candidates(graph, viewpoint), 1):
        turn = (math.atan2(east, north) - heading + math.pi) % (2 * math.pi)
        elevation = math.atan2(up, math.hypot(east, north))
        y = min(max(height / 2 * (1 - elevation / _UP), 10), height - 10)
        at = turn / (2 * math.pi) * width, y
        canvas.circle(at, 9, (*CARD, 255), (*AGENTS[0], 255), 1.5)
        canvas.text(at, str(action), 11, INK, "mm", bold=True)
    picture.alpha_composite(canvas.finished())
    return picture.convert("RGB")


@lru_cache(maxsize=64)
def _plan_map(
    graph: NavGraph, files: WorldFiles, path: tuple[str, ...], goal: Goal | None, start: str
) -> tuple[PlanMap, Mapping[str, Sequence[float]]]:
    """Return the map of an episode, and the places of the viewpoints."""
    building = scene(graph, files.world)
    places = building["viewpoints"]
    shown = [places[name] for name in path]
    content = MapContent(building, [places[start]], shown, [("walked", AGENTS[0])], goal)
    return PlanMap(content, map_size(with_strip=True), STYLE.unit), places


def _map(
    graph: NavGraph, episode: Episode, trajectory: Trajectory, files: WorldFiles
) -> Image.Image:
    known = episode.has_goal
    path, goal = (episode.path, episode.target) if known else ((), None)
    plan, places = _plan_map(graph, files, path, goal, trajectory[0][0])
    walked = [places[name] for name, *_ in trajectory]
    return plan.draw_walk(int(walked[-1][3]), walked, (trajectory[-1][1], _ACROSS))
