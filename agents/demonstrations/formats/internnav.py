"""InternNav's trajectory data: LeRobot v2.1 with a data set for each building, and its samples.

`traj_data/{dataset}/{scan}/` has `meta/episodes.jsonl`, whose instructions of one path are joined
by `<INSTRUCTION_SEP>`, `data/chunk-000/episode_000000.parquet` and `videos/chunk-000/
observation.images.{rgb,depth}.{H}cm_{P}deg/episode_000000_{frame}.{jpg,png}`, depth in millimetres.
Columns of a look-down camera `{H}cm_{P}deg`: its `pose` (4 x 4, camera to world, z ahead), the
pixel [x, y] of the `goal`, and after how many frames it is reached (`relative_goal_frame_id`, -1
without a goal in view). `action` of a row is the one that led to it; the last stop is not stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image
from scipy.interpolate import CubicSpline

from clipnav.agents.demonstrations.formats.files import (
    EXTRA,
    HINT,
    check_picture,
    link_picture,
    stopping,
)
from clipnav.agents.demonstrations.recording.continuous_walks import (
    MILLIMETRES,
    continuous_settings,
    read_depth,
)
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import (
    DemonstrationConfig,
    GoalCameras,
    horizontal_fov,
)
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.envs.continuous.goal_labels import VISIBLE, GoalCamera, pixel_goal
from clipnav.envs.continuous.settings import FORWARD, LEFT, LOOK_DOWN, RIGHT, STOP
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.extras import import_extra
from clipnav.storage.json_files import parse_json
from clipnav.storage.pictures import load_picture

_SEPARATOR = "<INSTRUCTION_SEP>"
_ARROWS = {STOP: "STOP", FORWARD: "↑", LEFT: "←", RIGHT: "→", LOOK_DOWN: "↓"}
_CHUNK = 1000  # episodes in a folder
_NOTHING = -1  # nothing led to the first row; no goal
_PURPOSE = "--format internnav"
_FEWEST_ACTIONS, _NEAREST_GOAL, _STOPS = 4, 3, 5
_MOST_TRAJECTORIES = 12
_KEPT_STEP = 0.05  # squared metres between two positions; turns have none
_FEWEST_DENSE = 50  # points of the smoothed walk
_SPACING, _SCALE = 0.1, 4.0  # metres, which are multiplied by (steps + 1) / steps
_DEPTH_SIZE, _FARTHEST = (224, 224), 5.0  # of System 1's depth pictures, metres


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write walks that stop; instructions of the same walk share an episode."""
    root = folder / "traj_data" / config.dataset
    stopped = (walk for _, walk in stopping(walks))
    for scan, own in groupby(stopped, key=lambda walk: walk.scan):
        paths: dict[tuple[int, float], list[RecordedWalk]] = {}
        for walk in own:
            paths.setdefault((walk.path_id, walk.steps[0].heading), []).append(walk)
        lines, frames = [], 0
        for number, same in enumerate(paths.values()):
            texts = _SEPARATOR.join(one_line(walk.instruction) for walk in same)
            length = len(same[0].steps)
            lines.append({"episode_index": number, "tasks": [texts], "length": length})
            _write_episode(root / scan, number, frames, same[0], pictures, config)
            frames += length
        info = {
            "codebase_version": "v2.1",
            "robot_type": "clipnav-continuous",
            "fps": 1,
            "total_episodes": len(lines),
            "total_frames": frames,
            "chunks_size": _CHUNK,
            "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        }
        (root / scan / "meta").mkdir()
        write_text(root / scan / "meta" / "info.json", json.dumps(info, indent=2) + "\n")
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(root / scan / "meta" / "episodes.jsonl", text)


def _write_episode(
    root: Path,
    number: int,
    first: int,
    walk: RecordedWalk,
    pictures: Path,
    config: DemonstrationConfig,
) -> None:
    cameras, settings = config.goal_cameras, continuous_settings(config)
    name, steps = cameras.suffix(cameras.down), walk.steps
    camera = GoalCamera(
        settings.depth_size, settings.hfov, settings.camera_height, float(cameras.down)
    )
    feet = np.array([step.position for step in steps]) - (0.0, 0.0, settings.camera_height)
    poses, goals = [], []
    for frame, step in enumerate(steps):
        ahead, down = pictures / step.picture, pictures / step.look_down
        for source, kind, pitch in (
            (ahead, "rgb", cameras.ahead),
            (down, "rgb", cameras.down),
            (down.with_suffix(".png"), "depth", cameras.down),
        ):
            target = _picture(root, kind, cameras.suffix(pitch), number, frame)
            if not target.exists():  # both pictures are the same if their pitch is
                link_picture(source, target)
        poses.append(camera.pose(feet[frame], step.heading))
        depth = read_depth(down.with_suffix(".png"))
        goals.append(pixel_goal(camera, poses[-1], depth, feet[frame + 1 :]))
    columns = {
        "action": [_NOTHING, *(step.label for step in steps[:-1])],
        f"pose.{name}": [pose.tolist() for pose in poses],
        f"goal.{name}": [goal.pixel if goal else (_NOTHING, _NOTHING) for goal in goals],
        f"relative_goal_frame_id.{name}": [g.index + 1 if g else _NOTHING for g in goals],
        "timestamp": [float(frame) for frame in range(len(steps))],
        "frame_index": list(range(len(steps))),
        "episode_index": [number] * len(steps),
        "index": list(range(first, first + len(steps))),
        "task_index": [number] * len(steps),
    }
    path = _table(root, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    pa = import_extra("pyarrow", EXTRA, _PURPOSE)
    parquet = import_extra("pyarrow.parquet", EXTRA, _PURPOSE)
    parquet.write_table(pa.Table.from_pydict(columns), path)


def _table(root: Path, number: int) -> Path:
    return root / "data" / f"chunk-{number // _CHUNK:03d}" / f"episode_{number:06d}.parquet"


def _picture(root: Path, kind: str, suffix: str, number: int, frame: int) -> Path:
    folder = root / "videos" / f"chunk-{number // _CHUNK:03d}"
    ending = "png" if kind == "depth" else "jpg"
    return folder / f"observation.images.{kind}.{suffix}" / f"episode_{number:06d}_{frame}.{ending}"


@dataclass(frozen=True)
class InternNavEpisode:
    """An episode of a building with the columns of one camera.

    Attributes:
        actions: (T,) action taken at each frame; the last one is stop.
        poses: (T, 4, 4) poses of the look-down camera, camera to world.
        goals: Pixel [x, y] at each frame, as the file has it.
        ahead: (T,) number of frames until the goal is reached; -1 without a goal.
    """

    root: Path
    number: int
    instructions: tuple[str, ...]
    actions: np.ndarray
    poses: np.ndarray
    goals: list[list[Any]]
    ahead: np.ndarray

    def picture(self, kind: str, suffix: str, frame: int) -> Path:
        """Return the file of a picture of `kind` "rgb" or "depth"."""
        return _picture(self.root, kind, suffix, self.number, frame)


def read_episodes(folder: Path, cameras: GoalCameras) -> Iterator[InternNavEpisode]:
    """Yield the episodes of a data set, such as traj_data/r2r, in the order of its buildings.

    Raises:
        UserError: A file is missing or damaged, or lacks the columns of the camera.
    """
    for root in sorted(path for path in folder.iterdir() if path.is_dir()):
        path = root / "meta" / "episodes.jsonl"
        if not path.is_file():
            raise UserError(f"{path}: missing; {HINT}")
        for line in path.read_text(encoding="utf-8").splitlines():
            record = parse_json(line, str(path), HINT)
            if not isinstance(record, dict) or not {"episode_index", "tasks", "length"} <= {
                *record
            }:
                raise UserError(f"{path}: a record lacks episode_index, tasks or length; {HINT}")
            yield _read_episode(root, record, cameras.suffix(cameras.down))


def _read_episode(root: Path, record: dict[str, Any], suffix: str) -> InternNavEpisode:
    number, path = record["episode_index"], _table(root, record["episode_index"])
    pa = import_extra("pyarrow", EXTRA, _PURPOSE)
    parquet = import_extra("pyarrow.parquet", EXTRA, _PURPOSE)
    names = ["action", *(f"{name}.{suffix}" for name in ("pose", "goal", "relative_goal_frame_id"))]
    try:
        table = parquet.read_table(path).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: missing or damaged ({error}); {HINT}") from error
    missing = [name for name in names if name not in table]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]}; {HINT}")
    actions, poses, goals, ahead = (table[name] for name in names)
    if len(actions) != record["length"]:
        raise UserError(f"{path}: {len(actions)} rows instead of {record['length']}; {HINT}")
    texts = tuple(record["tasks"][0].split(_SEPARATOR))
    taken = np.array([*actions[1:], STOP])
    return InternNavEpisode(root, number, texts, taken, np.array(poses), goals, np.array(ahead))


class Sampling(NamedTuple):
    """How InternNav's training draws samples from episodes; defaults of its scripts.

    Attributes:
        sample_step: Number of frames between two samples.
        pixel_goal_only: Leave out turns and stops, as the training of System 1 does.
    """

    sample_step: int = 4
    num_history: int = 8
    num_future_steps: int = 4
    pixel_goal_only: bool = False


class Sample(NamedTuple):
    """A sample of InternNav's training.

    Attributes:
        start: Number of the frame.
        history: Numbers of the earlier frames whose pictures the model gets.
        kind: Whether the answer is a pixel of the look-down picture, a run of turns, or the stop.
        times: How often the sample is in the data set.
    """

    instruction: int
    start: int
    history: tuple[int, ...]
    kind: Literal["pixel", "turn", "stop"]
    answers: tuple[str, ...]
    times: int = 1


def samples(episode: InternNavEpisode, sampling: Sampling) -> list[Sample]:
    """Return the samples of an episode, by instruction, kind and frame.

    Episodes of fewer than 4 actions have none. Frames whose goal is reached in fewer than 3 frames,
    and frames before a step forward without a goal, are left out. A stop counts five times.
    """
    last = len(episode.actions) - 1
    if last + 1 < _FEWEST_ACTIONS:
        return []
    found: list[Sample] = []
    for start in range(0, last, sampling.sample_step):
        if episode.ahead[start] >= _NEAREST_GOAL:
            x, y = episode.goals[start]
            answers = _ARROWS[LOOK_DOWN], f"{x} {y}"
            found.append(Sample(0, start, _history(start, sampling), "pixel", answers))
        elif episode.ahead[start] < 0 and episode.actions[start] != FORWARD:
            future = episode.actions[start : start + sampling.num_future_steps].tolist()
            turns = future[: future.index(FORWARD)] if FORWARD in future else future
            text = "".join(_ARROWS[action] for action in turns)
            found.append(Sample(0, start, _history(start, sampling), "turn", (text,)))
    found.append(Sample(0, last, _history(last, sampling), "stop", (_ARROWS[STOP],), _STOPS))
    if sampling.pixel_goal_only:
        found = [sample for sample in found if sample.kind == "pixel"]
    found.sort(key=lambda sample: sample.kind == "turn")  # stable; the stop is last again
    found.sort(key=lambda sample: sample.kind == "stop")
    return [
        sample._replace(instruction=number)
        for number in range(len(episode.instructions))
        for sample in found
    ]


def _history(start: int, sampling: Sampling) -> tuple[int, ...]:
    if not start:
        return ()
    frames = np.linspace(0, start - 1, sampling.num_history).astype(int)
    return tuple(np.unique(frames).tolist())


def trajectory_frames(sample: Sample, episode: InternNavEpisode) -> list[int]:
    """Return the frames from which System 1 has to reach the goal of a sample."""
    count = int(episode.ahead[sample.start])
    step = 2 if (count + 1) // 2 <= _MOST_TRAJECTORIES else -(-count // _MOST_TRAJECTORIES)
    return list(range(sample.start, sample.start + count, step))


def trajectory_target(poses: np.ndarray, steps: int) -> np.ndarray:
    """Return the target (steps, 3) of System 1 along the poses (K, 4, 4) to the goal.

    Rows are (4 dx, 4 dy, d theta) in the frame of the first pose, x ahead and y to the left; theta
    is the direction of a segment, 0 for those without length behind the goal, as published.
    """
    ahead = poses[0, :2, 2] / np.linalg.norm(poses[0, :2, 2])
    offsets = poses[:, :2, 3] - poses[0, :2, 3]
    walk = np.stack([offsets @ ahead, offsets @ (-ahead[1], ahead[0])], axis=1)
    moved = (np.diff(walk, axis=0) ** 2).sum(axis=1) > _KEPT_STEP
    walk = walk[np.concatenate([[True], moved])]
    if len(walk) == 1:
        return np.zeros((steps, 3))
    length = _lengths(walk)
    if len(walk) > 3:
        dense = np.linspace(0.0, length[-1], max(_FEWEST_DENSE, 2 * len(walk)))
        walk = CubicSpline(length, walk)(dense)
        length = _lengths(walk)
    wanted = np.linspace(0.0, _SPACING * (steps + 1), steps + 1)
    points = np.stack([np.interp(wanted, length, axis) for axis in walk.T], axis=1)
    differences = np.diff(points, axis=0)
    theta = np.arctan2(differences[:, 1], differences[:, 0])
    turns = np.diff(theta, prepend=0.0)
    turns = (turns + np.pi) % (2 * np.pi) - np.pi
    return np.column_stack([_SCALE * differences, turns])


def _lengths(points: np.ndarray) -> np.ndarray:
    """Return the length (K,) of a walk (K, 2) up to each point."""
    return np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])


def trajectory_depth(path: Path) -> np.ndarray:
    """Return the depth (224, 224) of a picture in metres as System 1 gets it, clipped at 5 m."""
    resized = load_picture(path).resize(_DEPTH_SIZE, Image.Resampling.NEAREST)
    return np.minimum(np.asarray(resized, np.float64) / MILLIMETRES, _FARTHEST)


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    size = manifest["camera"]["width"], manifest["camera"]["height"]
    settings = manifest["settings"]
    cameras = GoalCameras(*map(int, settings["goal_camera"].split("_")))
    hfov = horizontal_fov(manifest["camera"]["vertical_fov_degrees"], size[1], size[0])
    camera = GoalCamera((size[1], size[0]), hfov, cameras.height / 100, float(cameras.down))
    episodes = goals = drawn = 0
    for episode in read_episodes(folder / "traj_data" / settings["dataset"], cameras):
        place = _table(episode.root, episode.number)
        if not {*episode.actions.tolist()} <= {*_ARROWS}:
            raise UserError(f"{place}: an action is none of {', '.join(map(str, _ARROWS))}; {HINT}")
        for frame, (pose, ahead) in enumerate(zip(episode.poses, episode.ahead, strict=True)):
            for kind, pitch in (
                ("rgb", cameras.ahead),
                ("rgb", cameras.down),
                ("depth", cameras.down),
            ):
                check_picture(episode.picture(kind, cameras.suffix(pitch), frame), size)
            if ahead >= 0:
                depth = read_depth(episode.picture("depth", cameras.suffix(cameras.down), frame))
                _check_goal(episode, frame, camera, pose, depth)
                goals += 1
        episodes += 1
        drawn += sum(sample.times for sample in samples(episode, Sampling()))
    found = (
        pluralise(episodes, "episode"),
        pluralise(goals, "pixel goal"),
        pluralise(drawn, "sample"),
    )
    return ", ".join(found)


def _check_goal(
    episode: InternNavEpisode, frame: int, camera: GoalCamera, pose: np.ndarray, depth: np.ndarray
) -> None:
    """Check that the pixel of a goal shows the position that is reached."""
    place = f"{_table(episode.root, episode.number)}: row {frame}"
    ahead, (x, y) = int(episode.ahead[frame]), episode.goals[frame]
    height, width = camera.size
    if not (0 <= x < width and 0 <= y < height and 0 < ahead < len(episode.poses) - frame):
        raise UserError(f"{place} has a goal outside the picture or the walk; {HINT}")
    feet = episode.poses[frame + ahead, :3, 3] - (0.0, 0.0, camera.height)
    away = float(np.linalg.norm(camera.unproject(pose, np.array([[x, y]]), depth)[0] - feet))
    if away > VISIBLE + 1e-6:
        raise UserError(f"{place} has a goal whose pixel is {away:.2f} m from it; {HINT}")
