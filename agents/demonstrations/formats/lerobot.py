"""LeRobotDataset v3.0, written and read strictly without the package lerobot.

The package lerobot limits the versions of torch and numpy, so that it cannot share an environment
with clipnav. Here, its layout is written directly: see the documentation of LeRobotDataset v3.0 and
`lerobot/datasets/{utils,lerobot_dataset,compute_stats}.py` of version 0.4.4.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.agents.demonstrations.formats.files import (
    CODEC,
    EXTRA,
    HINT,
    PIXEL_FORMAT,
    VideoWriter,
    read_video,
    stopping,
)
from clipnav.agents.demonstrations.recording.decisions import picture_name
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig, Media
from clipnav.agents.language_models.prompts.observations import one_line
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.extras import import_extra
from clipnav.storage.json_files import read_json
from clipnav.storage.pictures import PictureError, load_picture

_MEGABYTE = 1 << 20
_PURPOSE = "--format lerobot"
_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Statistics = dict[str, list[Any]]
_LEVELS = np.arange(256) / 255.0
VERSION = "v3.0"
_FPS = 1  # a step between viewpoints has no duration; one step is one second of video
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_INFO_PATH, _STATS_PATH, _TASKS_PATH = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
RGB, STATE, _CANDIDATES, ACTION = (
    "observation.images.rgb",
    "observation.state",
    "observation.candidates",
    "action",
)
_TASK_INDEX_COLUMN = "__index_level_0__"  # as LeRobot itself names the index of pandas
_STATE_NAMES = ["x", "y", "z", "heading", "elevation"]
_CANDIDATE_NAMES = ("heading", "elevation", "distance")
Feature = dict[str, Any]


class LeRobotWriter:
    """Writer of one dataset, episode after episode."""

    def __init__(self, folder: Path, table: dict[str, Feature], robot: str) -> None:
        self._pa = import_extra("pyarrow", EXTRA, _PURPOSE)
        self._pq = import_extra("pyarrow.parquet", EXTRA, _PURPOSE)
        self._folder, self._table, self._robot = folder, table, robot
        self._schema = _data_schema(self._pa, table)
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
        """Append an episode."""
        number, length = len(self._episodes), len(pictures)
        rows = rows | {
            "timestamp": [index / _FPS for index in range(length)],
            "frame_index": list(range(length)),
            "episode_index": [number] * length,
            "index": list(range(self._frames, self._frames + length)),
            "task_index": [self._tasks.setdefault(task, len(self._tasks))] * length,
        }
        decoded = [np.asarray(load_picture(path).convert("RGB")) for path in pictures]
        levels = np.sum([histogram(picture) for picture in decoded], axis=0)
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
        found = {RGB: picture_statistics(levels, length)}
        found |= {name: value_statistics(self._columns[name][-1]) for name in self._numeric}
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
        path = folder / _EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), path)
        tasks = {"task_index": list(self._tasks.values()), _TASK_INDEX_COLUMN: list(self._tasks)}
        pq.write_table(pa.Table.from_pydict(tasks, _tasks_schema(pa)), folder / _TASKS_PATH)
        found = {RGB: picture_statistics(self._levels, self._frames)}
        for name, parts in self._columns.items():
            found[name] = value_statistics(np.concatenate(parts))
        write_text(folder / _STATS_PATH, json.dumps(found, indent=4) + "\n")
        info = {
            "codebase_version": VERSION,
            "robot_type": self._robot,
            "total_episodes": len(self._episodes),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": _FPS,
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": DATA_PATH,
            "video_path": _VIDEO_PATH if self._videos is not None else None,
            "features": self._table,
        }
        write_text(folder / _INFO_PATH, json.dumps(info, indent=4) + "\n")

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
            path = self._folder / DATA_PATH.format(**_file_numbers(self._file))
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = self._pq.ParquetWriter(path, self._schema)
        self._data.write_table(batch)
        self._file_bytes += batch.nbytes
        return self._file


def write(
    walks: Iterable[RecordedWalk], pictures: Path, folder: Path, config: DemonstrationConfig
) -> None:
    """Write the walks that stop as a dataset; at least one must."""
    most = max(len(step.candidates) for _, walk in stopping(walks) for step in walk.steps)
    table = features(config.picture_shape, config.media, most)
    writer = LeRobotWriter(folder, table, f"clipnav-{config.walks_in}")
    for _, walk in stopping(walks):
        rows = _walk_rows(walk, most)
        names = [
            step.picture or picture_name(ViewPose(walk.scan, step.viewpoint, step.heading))
            for step in walk.steps
        ]
        writer.add(one_line(walk.instruction), rows, [pictures / name for name in names])
    writer.close()


def _walk_rows(walk: RecordedWalk, most: int) -> dict[str, list[Any]]:
    """Return the values of a walk by feature, except pictures, indices and timestamps."""
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
        rows[_CANDIDATES] = []
        for step in steps:
            values: list[float] = []
            for each in step.candidates:
                turn = wrap_angle(each.heading - step.heading)
                values += [turn, each.elevation, each.distance]
            rows[_CANDIDATES].append(values + [0.0] * (3 * most - len(values)))
    return rows


def _place(prefix: str, file: int) -> dict[str, int]:
    return {f"{prefix}/{name}": number for name, number in _file_numbers(file).items()}


def value_statistics(values: np.ndarray) -> Statistics:
    """Return the statistics of the columns of an array (N, D)."""
    values = np.asarray(values, np.float64)
    return {
        "min": values.min(0).tolist(),
        "max": values.max(0).tolist(),
        "mean": values.mean(0).tolist(),
        "std": values.std(0).tolist(),
        "count": [len(values)],
        **{name: np.quantile(values, q, axis=0).tolist() for name, q in _QUANTILES.items()},
    }


def histogram(picture: np.ndarray) -> np.ndarray:
    """Return the (3, 256) number of pixels of each level in a picture (H, W, 3) uint8."""
    flat = picture.reshape(-1, 3)
    return np.stack([np.bincount(flat[:, channel], minlength=256) for channel in range(3)])


def picture_statistics(levels: np.ndarray, count: int) -> Statistics:
    """Return the statistics of pictures with values in 0..1, of shape (3, 1, 1).

    Args:
        levels: (3, 256) sum of the histograms of the pictures.
    """
    total = levels.sum(1, keepdims=True)
    mean = (levels @ _LEVELS) / total[:, 0]
    square = (levels @ _LEVELS**2) / total[:, 0]
    cumulative = levels.cumsum(1)
    present = levels > 0
    numbers = {
        "min": _LEVELS[present.argmax(1)],
        "max": _LEVELS[255 - present[:, ::-1].argmax(1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(square - mean**2, 0)),
        **{name: _LEVELS[(cumulative >= q * total).argmax(1)] for name, q in _QUANTILES.items()},
    }
    return {name: value.reshape(3, 1, 1).tolist() for name, value in numbers.items()} | {
        "count": [count]
    }


class VideoFiles:
    """Writer of video files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = 0
        self._writer: VideoWriter | None = None

    def add(self, pictures: list[np.ndarray]) -> tuple[int, float, float]:
        """Append an episode; return its file, and its start and end in seconds."""
        if self._writer is not None and self._writer.bytes > VIDEO_FILE_MB << 20:
            self._writer.close()
            self._writer = None
            self._file += 1
        if self._writer is None:
            name = _VIDEO_PATH.format(video_key=RGB, **_file_numbers(self._file))
            height, width = pictures[0].shape[:2]
            self._writer = VideoWriter(self._folder / name, (height, width), _FPS)
        start = self._writer.frames
        self._writer.add(pictures)
        return self._file, start / _FPS, self._writer.frames / _FPS

    def close(self) -> None:
        """Complete the last file."""
        if self._writer is not None:
            self._writer.close()


def features(shape: tuple[int, int], media: Media, candidates: int) -> dict[str, Feature]:
    """Return the features of a dataset."""
    picture: Feature = {
        "dtype": media,
        "shape": [*shape, 3],
        "names": ["height", "width", "channels"],
    }
    if media == "video":
        picture["info"] = {
            "video.height": shape[0],
            "video.width": shape[1],
            "video.codec": CODEC,
            "video.pix_fmt": PIXEL_FORMAT,
            "video.is_depth_map": False,
            "video.fps": _FPS,
            "video.channels": 3,
            "has_audio": False,
        }
    table: dict[str, Feature] = {RGB: picture, STATE: _vector("float32", _STATE_NAMES)}
    if candidates:
        names = [f"{n}_{name}" for n in range(1, candidates + 1) for name in _CANDIDATE_NAMES]
        table[_CANDIDATES] = _vector("float32", names)
    table[ACTION] = _vector("int64", ["action"])
    table["taken_action"] = _vector("int64", ["action"])
    table["by_policy"] = _vector("bool", None)
    table["next.done"] = _vector("bool", None)
    table["next.success"] = _vector("bool", None)
    table["timestamp"] = _vector("float32", None)
    for name in ("frame_index", "episode_index", "index", "task_index"):
        table[name] = _vector("int64", None)
    return table


def _file_numbers(file: int) -> dict[str, int]:
    """Return the numbers of a file's chunk, and of the file in it, as the paths contain them."""
    chunk, index = divmod(file, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": index}


def _vector(dtype: str, names: list[str] | None) -> Feature:
    return {"dtype": dtype, "shape": [len(names) if names else 1], "names": names}


def _data_schema(pa: Any, table: Mapping[str, Feature]) -> Any:
    """Return the Arrow schema of the data files, with the metadata of Hugging Face's datasets."""
    fields, described = [], {}
    for name, feature in table.items():
        if feature["dtype"] == "video":
            continue
        if feature["dtype"] == "image":
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            described[name] = {"_type": "Image"}
        else:
            value = {"dtype": feature["dtype"], "_type": "Value"}
            kind = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}[
                feature["dtype"]
            ]
            length = feature["shape"][0]
            if length > 1:
                kind = pa.list_(kind, length)
                value = {"feature": value, "length": length, "_type": "Sequence"}
            described[name] = value
        fields.append((name, kind))
    metadata = {"huggingface": json.dumps({"info": {"features": described}})}
    return pa.schema(fields, metadata=metadata)


def _tasks_schema(pa: Any) -> Any:
    """Return the Arrow schema of the tasks, with the metadata of pandas that names the index."""
    columns = [
        {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": dtype}
        for name, field, kind, dtype in (
            ("task_index", "task_index", "int64", "int64"),
            (None, _TASK_INDEX_COLUMN, "unicode", "object"),
        )
    ]
    metadata = {
        "index_columns": [_TASK_INDEX_COLUMN],
        "column_indexes": [],
        "columns": [{**column, "metadata": None} for column in columns],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    return pa.schema(
        [("task_index", pa.int64()), (_TASK_INDEX_COLUMN, pa.string())],
        metadata={"pandas": json.dumps(metadata)},
    )


class LeRobotReader:
    """A dataset that is read and checked.

    Attributes:
        columns: Columns of all data files, except pictures, by feature.
    """

    def __init__(self, folder: Path) -> None:
        self._pa = import_extra("pyarrow", EXTRA, _PURPOSE)
        self._pq = import_extra("pyarrow.parquet", EXTRA, _PURPOSE)
        self.folder = folder
        self.info: dict[str, Any] = read_json(folder / _INFO_PATH, HINT)
        self._require(
            self.info.get("codebase_version") == VERSION,
            _INFO_PATH,
            f"its version is not {VERSION}",
        )
        self.episodes = self._table(_EPISODES_PATH.format(chunk_index=0, file_index=0)).to_pylist()
        tasks = self._table(_TASKS_PATH).to_pydict()
        self._require(
            tasks["task_index"] == list(range(len(tasks["task_index"]))),
            _TASKS_PATH,
            "the indices are not 0, 1, 2, ...",
        )
        self.tasks: list[str] = tasks[_TASK_INDEX_COLUMN]
        self.columns = self._read_columns()
        self._check_indices()
        self._check_actions()
        found = read_json(self.folder / _STATS_PATH, HINT)
        for name, values in self.columns.items():
            same = np.allclose(found[name]["mean"], values.astype(float).mean(0), atol=1e-4)
            self._require(same, _STATS_PATH, f"the mean of {name} differs from the data")

    def frames(self) -> list[np.ndarray]:
        """Decode all pictures (H, W, 3) uint8, in order."""
        if self.info["features"][RGB]["dtype"] == "video":
            files = self._files(f"videos/{RGB}", self.info["video_path"])
            pictures = [picture for file in files for picture in read_video(self.folder / file)]
            total, found = self.info["total_frames"], len(pictures)
            self._require(found == total, "videos", f"{found} frames for {total} rows")
        else:
            pictures = self._images()
        shape = tuple(self.info["features"][RGB]["shape"])
        for number, picture in enumerate(pictures):
            self._require(
                picture.shape == shape, "data", f"frame {number} has the shape {picture.shape}"
            )
        return pictures

    def _table(self, name: str, columns: list[str] | None = None) -> Any:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: missing; {HINT}")
        try:
            return self._pq.read_table(path, columns=columns)
        except (self._pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: damaged ({error}); {HINT}") from error

    def _files(self, prefix: str, template: str) -> list[str]:
        """Return the names of the data or video files, in the order of the episodes."""
        names = [
            template.format(
                video_key=RGB,
                chunk_index=episode[f"{prefix}/chunk_index"],
                file_index=episode[f"{prefix}/file_index"],
            )
            for episode in self.episodes
        ]
        return list(dict.fromkeys(names))

    def _read_columns(self) -> dict[str, np.ndarray]:
        table = self.info["features"]
        expected = _data_schema(self._pa, table)
        names = [name for name in expected.names if name != RGB]
        parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for file in self._files("data", self.info["data_path"]):
            rows = self._table(file, names)
            for name in names:
                same = rows.schema.field(name).type == expected.field(name).type
                self._require(same, file, f"column {name} has another type than the features")
                column = rows[name].combine_chunks()
                values = column.flatten() if table[name]["shape"][0] > 1 else column
                array = values.to_numpy(zero_copy_only=False)
                parts[name].append(array.reshape(len(rows), table[name]["shape"][0]))
        return {name: np.concatenate(values) for name, values in parts.items()}

    def _check_indices(self) -> None:
        columns, total = self.columns, self.info["total_frames"]
        lengths = np.array([episode["length"] for episode in self.episodes])
        starts = lengths.cumsum() - lengths
        self._require(
            (len(lengths), int(lengths.sum()), len(self.tasks))
            == (self.info["total_episodes"], total, self.info["total_tasks"]),
            _INFO_PATH,
            "the totals differ from the episodes and tasks",
        )
        expected = {
            "index": np.arange(total),
            "episode_index": np.repeat(np.arange(len(lengths)), lengths),
            "frame_index": np.arange(total) - np.repeat(starts, lengths),
        }
        expected["timestamp"] = (expected["frame_index"] / self.info["fps"]).astype(np.float32)
        tasks = [self.tasks.index(episode["tasks"][0]) for episode in self.episodes]
        expected["task_index"] = np.repeat(tasks, lengths)
        for name, values in expected.items():
            same = np.array_equal(columns[name][:, 0], values)
            self._require(same, "data", f"column {name} differs from the episodes")
        same = [e["dataset_from_index"] for e in self.episodes] == starts.tolist()
        self._require(same, "meta/episodes", "column dataset_from_index differs from the lengths")

    def _check_actions(self) -> None:
        columns = self.columns
        ends = np.flatnonzero(columns["next.done"][:, 0])
        lasts = np.array([episode["dataset_to_index"] - 1 for episode in self.episodes])
        self._require(np.array_equal(ends, lasts), "data", "column next.done marks other frames")
        most = 3
        if _CANDIDATES in columns:
            distances = columns[_CANDIDATES].reshape(len(columns[ACTION]), -1, 3)[:, :, 2]
            most = (distances > 0).sum(1)
        for name in (ACTION, "taken_action"):
            actions = columns[name][:, 0]
            possible = (actions >= 0) & (actions <= most)
            self._require(bool(possible.all()), "data", f"column {name} has impossible actions")

    def _images(self) -> list[np.ndarray]:
        pictures = []
        for file in self._files("data", self.info["data_path"]):
            for row in self._table(file, [RGB])[RGB].to_pylist():
                try:
                    pictures.append(np.asarray(load_picture(row["bytes"], row["path"])))
                except PictureError as error:
                    raise UserError(f"{self.folder / file}: {error}; {HINT}") from error
        return pictures

    def _require(self, holds: bool, name: str, problem: str) -> None:
        if not holds:
            raise UserError(f"{self.folder / name}: {problem}; {HINT}")


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    reader = LeRobotReader(folder)
    frames = reader.frames()
    counts = manifest["counts"]
    if len(frames) != counts["steps"] - counts.get("truncated_steps", 0):
        raise UserError(f"{folder}: {len(frames)} frames, but the manifest has others; {HINT}")
    content = {"episode": reader.episodes, "frame": frames, "task": reader.tasks}
    return ", ".join(pluralise(len(values), noun) for noun, values in content.items())
