"""Strict reader of a LeRobotDataset v3.0."""

from pathlib import Path
from typing import Any

import numpy as np

from clipnav.agents.demonstrations.formats.files import REMEDY
from clipnav.agents.demonstrations.formats.lerobot import (
    ACTION,
    CANDIDATES,
    EPISODES_PATH,
    INFO_PATH,
    RGB,
    STATS_PATH,
    TASK_INDEX_COLUMN,
    TASKS_PATH,
    VERSION,
    data_schema,
)
from clipnav.agents.demonstrations.formats.videos import EXTRA, read_video
from clipnav.storage.errors import UserError, counted
from clipnav.storage.extras import import_extra
from clipnav.storage.json_files import read_json
from clipnav.storage.pictures import PictureError, load_picture

_PURPOSE = "reading --format lerobot"


class LeRobotReader:
    """A dataset that is read and checked.

    Attributes:
        info: Content of meta/info.json.
        tasks: Instructions by task index.
        episodes: Rows of meta/episodes.
        columns: Columns of all data files, except pictures, by feature.
    """

    def __init__(self, folder: Path) -> None:
        self._pa = import_extra("pyarrow", EXTRA, _PURPOSE)
        self._pq = import_extra("pyarrow.parquet", EXTRA, _PURPOSE)
        self.folder = folder
        self.info: dict[str, Any] = read_json(folder / INFO_PATH, REMEDY)
        self._require(
            self.info.get("codebase_version") == VERSION, INFO_PATH, f"its version is not {VERSION}"
        )
        self.episodes = self._table(EPISODES_PATH.format(chunk_index=0, file_index=0)).to_pylist()
        tasks = self._table(TASKS_PATH).to_pydict()
        self._require(
            tasks["task_index"] == list(range(len(tasks["task_index"]))),
            TASKS_PATH,
            "the indices are not 0, 1, 2, ...",
        )
        self.tasks: list[str] = tasks[TASK_INDEX_COLUMN]
        self.columns = self._read_columns()
        self._check_indices()
        self._check_actions()
        self._check_statistics()

    def frames(self) -> "list[np.ndarray]":
        """Decode all pictures (H, W, 3) uint8, in order."""
        is_video = self.info["features"][RGB]["dtype"] == "video"
        pictures = self._video_frames() if is_video else self._images()
        shape = tuple(self.info["features"][RGB]["shape"])
        for number, picture in enumerate(pictures):
            self._require(
                picture.shape == shape, "data", f"frame {number} has the shape {picture.shape}"
            )
        return pictures

    def _table(self, name: str, columns: list[str] | None = None) -> Any:
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f"{path}: missing; {REMEDY}")
        try:
            return self._pq.read_table(path, columns=columns)
        except (self._pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: damaged ({error}); {REMEDY}") from error

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
        expected = data_schema(self._pa, table)
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
            INFO_PATH,
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
        if CANDIDATES in columns:
            distances = columns[CANDIDATES].reshape(len(columns[ACTION]), -1, 3)[:, :, 2]
            most = (distances > 0).sum(1)
        for name in (ACTION, "taken_action"):
            actions = columns[name][:, 0]
            possible = (actions >= 0) & (actions <= most)
            self._require(bool(possible.all()), "data", f"column {name} has impossible actions")

    def _check_statistics(self) -> None:
        found = read_json(self.folder / STATS_PATH, REMEDY)
        for name, values in self.columns.items():
            same = np.allclose(found[name]["mean"], values.astype(float).mean(0), atol=1e-4)
            self._require(same, STATS_PATH, f"the mean of {name} differs from the data")

    def _images(self) -> "list[np.ndarray]":
        pictures = []
        for file in self._files("data", self.info["data_path"]):
            for row in self._table(file, [RGB])[RGB].to_pylist():
                try:
                    pictures.append(np.asarray(load_picture(row["bytes"], row["path"])))
                except PictureError as error:
                    raise UserError(f"{self.folder / file}: {error}; {REMEDY}") from error
        return pictures

    def _video_frames(self) -> "list[np.ndarray]":
        pictures: list[np.ndarray] = []
        for file in self._files(f"videos/{RGB}", self.info["video_path"]):
            pictures += read_video(self.folder / file)
        total = self.info["total_frames"]
        self._require(len(pictures) == total, "videos", f"{len(pictures)} frames for {total} rows")
        return pictures

    def _require(self, holds: bool, name: str, problem: str) -> None:
        if not holds:
            raise UserError(f"{self.folder / name}: {problem}; {REMEDY}")


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Read an export strictly; return what it contains."""
    reader = LeRobotReader(folder)
    frames = reader.frames()
    counts = manifest["counts"]
    if len(frames) != counts["steps"] - counts.get("truncated_steps", 0):
        raise UserError(f"{folder}: {len(frames)} frames, but the manifest has others; {REMEDY}")
    content = {"episode": reader.episodes, "frame": frames, "task": reader.tasks}
    return ", ".join(counted(len(values), noun) for noun, values in content.items())
