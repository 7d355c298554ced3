"""Writer of LeRobotDataset v3.0, with pyarrow and PyAV instead of the package lerobot.

The package lerobot limits the versions of torch and numpy, so that it cannot share an environment
with clipnav. Here, its layout is written directly: see the documentation of LeRobotDataset v3.0 and
`lerobot/datasets/{utils,lerobot_dataset,compute_stats}.py` of version 0.4.4.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.agents.demonstrations.formats import lerobot_statistics as statistics
from clipnav.agents.demonstrations.formats.lerobot_features import (
    ACTION,
    CANDIDATES,
    DATA_FILE_MB,
    DATA_PATH,
    EPISODES_PATH,
    FILES_PER_CHUNK,
    FPS,
    INFO_PATH,
    RGB,
    STATE,
    STATS_PATH,
    TASK_INDEX_COLUMN,
    TASKS_PATH,
    VERSION,
    VIDEO_FILE_MB,
    VIDEO_PATH,
    Feature,
    data_schema,
    features,
    file_numbers,
    tasks_schema,
)
from clipnav.agents.demonstrations.formats.lerobot_video import VideoFiles
from clipnav.agents.demonstrations.formats.primitive_actions import stopping
from clipnav.agents.demonstrations.formats.videos import EXTRA
from clipnav.agents.demonstrations.recording.pictures import picture_name
from clipnav.agents.demonstrations.recording.records import RecordedWalk, Step
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage import write_text
from clipnav.storage.extras import import_extra

_MEGABYTE = 1 << 20
_PURPOSE = "--format lerobot"


class LeRobotWriter:
    """Writer of one dataset, episode after episode.

    Args:
        folder: Folder to write to.
        table: Features of the dataset.
        robot: Type of the robot, for the information file.
    """

    def __init__(self, folder: Path, table: dict[str, Feature], robot: str) -> None:
        self._pa = import_extra("pyarrow", EXTRA, _PURPOSE)
        self._pq = import_extra("pyarrow.parquet", EXTRA, _PURPOSE)
        self._folder, self._table, self._robot = folder, table, robot
        self._schema = data_schema(self._pa, table)
        self._numeric = [name for name in table if name != RGB]
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._columns: dict[str, list[np.ndarray]] = {name: [] for name in self._numeric}
        self._levels = np.zeros((3, 256), np.int64)
        self._frames = 0
        self._file, self._file_bytes = 0, 0
        self._data: Any = None  # open ParquetWriter
        self._videos = VideoFiles(folder) if table[RGB]["dtype"] == "video" else None

    def add(self, task: str, rows: dict[str, list[Any]], pictures: list[Path]) -> None:
        """Append an episode.

        Args:
            task: Instruction of the episode.
            rows: Values of the features except pictures, indices and timestamps.
            pictures: JPEG files of its frames.
        """
        from clipnav.storage.pictures import load_picture

        number, length = len(self._episodes), len(pictures)
        rows = rows | {
            "timestamp": [index / FPS for index in range(length)],
            "frame_index": list(range(length)),
            "episode_index": [number] * length,
            "index": list(range(self._frames, self._frames + length)),
            "task_index": [self._tasks.setdefault(task, len(self._tasks))] * length,
        }
        decoded = [np.asarray(load_picture(path).convert("RGB")) for path in pictures]
        levels = np.sum([statistics.histogram(picture) for picture in decoded], axis=0)
        record = {
            "episode_index": number,
            "tasks": [task],
            "length": length,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + length,
            **_place("data", self._write_rows(rows, pictures)),
            **_place("meta/episodes", 0),
        }
        if self._videos is not None:
            file, start, end = self._videos.add(decoded)
            record |= _place(f"videos/{RGB}", file)
            record |= {f"videos/{RGB}/from_timestamp": start, f"videos/{RGB}/to_timestamp": end}
        for name in self._numeric:
            self._columns[name].append(np.asarray(rows[name]).reshape(length, -1))
        found = {RGB: statistics.of_pictures(levels, length)}
        found |= {name: statistics.of_values(self._columns[name][-1]) for name in self._numeric}
        record |= {f"stats/{name}/{k}": v for name, each in found.items() for k, v in each.items()}
        self._episodes.append(record)
        self._levels += levels
        self._frames += length

    def close(self) -> None:
        """Write the files that describe all episodes."""
        if self._data is not None:
            self._data.close()
        if self._videos is not None:
            self._videos.close()
        pa, pq, folder = self._pa, self._pq, self._folder
        path = folder / EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), path)
        tasks = {"task_index": list(self._tasks.values()), TASK_INDEX_COLUMN: list(self._tasks)}
        pq.write_table(pa.Table.from_pydict(tasks, tasks_schema(pa)), folder / TASKS_PATH)
        found = {RGB: statistics.of_pictures(self._levels, self._frames)}
        for name, parts in self._columns.items():
            found[name] = statistics.of_values(np.concatenate(parts))
        write_text(folder / STATS_PATH, json.dumps(found, indent=4) + "\n")
        info = {
            "codebase_version": VERSION,
            "robot_type": self._robot,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": FPS,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._videos is not None else None,
            "features": self._table,
        }
        write_text(folder / INFO_PATH, json.dumps(info, indent=4) + "\n")

    def _write_rows(self, rows: dict[str, list[Any]], pictures: list[Path]) -> int:
        """Write the rows of an episode to the current data file; return the number of the file."""
        columns = dict(rows)
        if self._videos is None:
            columns[RGB] = [{"bytes": p.read_bytes(), "path": p.name} for p in pictures]
        batch = self._pa.Table.from_pydict(
            {n: columns[n] for n in self._schema.names}, self._schema
        )
        if self._data is not None and self._file_bytes + batch.nbytes > DATA_FILE_MB * _MEGABYTE:
            self._data.close()
            self._data, self._file_bytes = None, 0
            self._file += 1
        if self._data is None:
            path = self._folder / DATA_PATH.format(**file_numbers(self._file))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = self._pq.ParquetWriter(path, self._schema)
        self._data.write_table(batch)
        self._file_bytes += batch.nbytes
        return self._file


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write the walks that stop as a dataset; at least one must.

    Args:
        walks: The walks, whose steps have egocentric pictures; iterated twice.
        pictures: Folder of their pictures.
        folder: Folder to write to.
        config: Settings of the export.
    """
    most = max(len(step.candidates) for _, walk in stopping(walks) for step in walk.steps)
    table = features(config.picture_shape, config.media, most)
    writer = LeRobotWriter(folder, table, f"clipnav-{config.walks_in}")
    for _, walk in stopping(walks):
        rows = walk_rows(walk, most)
        names = [step.picture or _name(walk, step) for step in walk.steps]
        writer.add(one_line(walk.instruction), rows, [pictures / name for name in names])
    writer.close()


def _name(walk: RecordedWalk, step: Step) -> str:
    return picture_name(ViewPose(walk.scan, step.viewpoint, step.heading))


def walk_rows(walk: RecordedWalk, most: int) -> dict[str, list[Any]]:
    """Return the values of a walk by feature, except pictures, indices and timestamps.

    Args:
        walk: The walk.
        most: Number of candidates to which rows are padded with zeros.
    """
    steps, last = walk.steps, len(walk.steps) - 1
    rows: dict[str, list[Any]] = {
        STATE: [[*step.position, step.heading, 0.0] for step in steps],
        ACTION: [step.label for step in steps],
        "taken_action": [step.taken for step in steps],
        "by_policy": [step.source == "policy" for step in steps],
        "next.done": [index == last for index in range(len(steps))],
        "next.success": [index == last and walk.success for index in range(len(steps))],
    }
    if most:
        rows[CANDIDATES] = [_candidates(step, most) for step in steps]
    return rows


def _candidates(step: Step, most: int) -> list[float]:
    values: list[float] = []
    for each in step.candidates:
        turn = (each.heading - step.heading + np.pi) % (2 * np.pi) - np.pi
        values += [turn, each.elevation, each.distance]
    return values + [0.0] * (3 * most - len(values))


def _place(prefix: str, file: int) -> dict[str, int]:
    return {f"{prefix}/{name}": number for name, number in file_numbers(file).items()}
