"""Features, schemas and paths of a LeRobotDataset v3.0, shared by its writer and its reader."""

import json
from collections.abc import Mapping
from typing import Any

from clipnav.agents.demonstrations.formats.videos import CODEC, PIXEL_FORMAT
from clipnav.agents.demonstrations.recording.settings import Media

VERSION = "v3.0"
FPS = 1  # a step between viewpoints has no duration; one step is one second of video
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO_PATH, STATS_PATH, TASKS_PATH = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
RGB, STATE, CANDIDATES, ACTION = (
    "observation.images.rgb",
    "observation.state",
    "observation.candidates",
    "action",
)
TASK_INDEX_COLUMN = "__index_level_0__"  # as LeRobot itself names the index of pandas
_STATE_NAMES = ["x", "y", "z", "heading", "elevation"]
_CANDIDATE_NAMES = ("heading", "elevation", "distance")

Feature = dict[str, Any]


def features(shape: tuple[int, int], media: Media, candidates: int) -> dict[str, Feature]:
    """Return the features of a dataset.

    Args:
        shape: Height and width of a picture.
        media: "image" for pictures within the Parquet files, or "video".
        candidates: Largest number of candidates of a step; 0 in continuous walks.
    """
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
            "video.fps": FPS,
            "video.channels": 3,
            "has_audio": False,
        }
    table: dict[str, Feature] = {RGB: picture, STATE: _vector("float32", _STATE_NAMES)}
    if candidates:
        names = [f"{n}_{name}" for n in range(1, candidates + 1) for name in _CANDIDATE_NAMES]
        table[CANDIDATES] = _vector("float32", names)
    table[ACTION] = _vector("int64", ["action"])
    table["taken_action"] = _vector("int64", ["action"])
    table["by_policy"] = _vector("bool", None)
    table["next.done"] = _vector("bool", None)
    table["next.success"] = _vector("bool", None)
    table["timestamp"] = _vector("float32", None)
    for name in ("frame_index", "episode_index", "index", "task_index"):
        table[name] = _vector("int64", None)
    return table


def file_numbers(file: int) -> dict[str, int]:
    """Return the numbers of a file's chunk, and of the file in it, as the paths contain them."""
    chunk, index = divmod(file, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": index}


def _vector(dtype: str, names: list[str] | None) -> Feature:
    return {"dtype": dtype, "shape": [len(names) if names else 1], "names": names}


def data_schema(pa: Any, table: Mapping[str, Feature]) -> Any:
    """Return the Arrow schema of the data files, with the metadata of Hugging Face's datasets.

    Args:
        pa: The module pyarrow.
        table: The features.
    """
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


def tasks_schema(pa: Any) -> Any:
    """Return the Arrow schema of the tasks, with the metadata of pandas that names the index."""
    columns = [
        {"name": name, "field_name": field, "pandas_type": kind, "numpy_type": dtype}
        for name, field, kind, dtype in (
            ("task_index", "task_index", "int64", "int64"),
            (None, TASK_INDEX_COLUMN, "unicode", "object"),
        )
    ]
    metadata = {
        "index_columns": [TASK_INDEX_COLUMN],
        "column_indexes": [],
        "columns": [{**column, "metadata": None} for column in columns],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    return pa.schema(
        [("task_index", pa.int64()), (TASK_INDEX_COLUMN, pa.string())],
        metadata={"pandas": json.dumps(metadata)},
    )
