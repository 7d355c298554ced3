"""One file of a feature store: its safetensors header, reading and writing.

The file holds one tensor `views`, (V, 36, D) float16. Its header records the keys of the rows and
the metadata as JSON.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage.errors import UserError, truncate
from clipnav.storage.features.view_grid import NUM_VIEWS, VIEW_ORDER
from clipnav.storage.json_files import parse_json
from clipnav.storage.tensor_files import read_header, write_streamed

FORMAT_VERSION = 1
# File formats of other projects: CLIP-ViL's TSV, HAMT's HDF5, LMDB.
OTHER_FORMATS = (".tsv", ".h5", ".hdf5", ".lmdb")
# Metadata field that lists the viewpoints without features.
SKIPPED = "skipped_viewpoints"
# Metadata field of a shard that identifies the viewpoints of all shards together.
VIEWPOINTS_OF_ALL = "viewpoints_of_all_shards"
# Metadata fields that `write_store_file` adds.
FORMAT_FIELDS = ("format_version", "view_order")
HINT = "extract the features again with clipnav extract-features"
_TENSOR = "views"
_SUFFIX = ".safetensors"


def feature_key(scan: str, viewpoint: str) -> str:
    """Return the key of a viewpoint's row: `scan_viewpoint`."""
    return f"{scan}_{viewpoint}"


def check_store_name(path: Path) -> None:
    """Check that a new store will be read as one."""
    if path.suffix != _SUFFIX:
        raise UserError(
            f"{path}: a feature store is a {_SUFFIX} file; name it so, and convert it to another "
            "format with clipnav convert-features"
        )


def map_store_file(path: Path) -> tuple[list[str], dict[str, Any], np.memmap]:
    """Read the header of a file and map its features into memory.

    Returns:
        Key of each row, metadata, and features (V, 36, D) float16.
    """
    try:
        header, data_start = read_header(path)
    except ValueError as error:
        if path.suffix != _SUFFIX:
            kinds = ", ".join((_SUFFIX, *OTHER_FORMATS))
            raise UserError(f"{path}: not a feature file; use a {kinds} file") from error
        raise UserError(f"{error}; download it again, or {HINT}") from error
    views = _map_views(path, header, data_start)
    metadata: dict[str, Any] = header.get("__metadata__", {})
    for name, text in metadata.items():
        with suppress(ValueError):  # other writers may have stored plain text
            metadata[name] = parse_json(text, "metadata", "", allow_nan=True)
    keys = metadata.pop("keys", None)
    _check_metadata(path, metadata, keys, views.shape)
    return keys, metadata, views


def write_store_file(
    file: Path, path: Path, views: Iterator[np.ndarray], keys: list[str], metadata: dict[str, Any]
) -> None:
    """Write a file of a store.

    Args:
        views: Yields (36, D) for each key.
    """
    first = np.asarray(next(views, np.zeros((NUM_VIEWS, 0))))
    if first.ndim != 2 or first.shape[0] != NUM_VIEWS:
        raise UserError(
            f"{path}: features of {keys[:1]} have shape {first.shape}, not ({NUM_VIEWS}, width)"
        )
    recorded = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "view_order": VIEW_ORDER,
        "keys": keys,
    }
    # safetensors allows only strings as metadata, hence JSON within JSON.
    texts = {name: json.dumps(value) for name, value in recorded.items()}
    shape = (len(keys), NUM_VIEWS, first.shape[1])

    def rows() -> Iterator[bytes]:
        written = 0
        for row in chain([first] if keys else [], views):
            if written < len(keys):
                yield _row_bytes(path, keys[written], np.asarray(row), first.shape)
            written += 1
        if written != len(keys):
            raise UserError(f"{path}: {written} viewpoints were given for {len(keys)} keys")

    with file.open("wb") as stream:
        write_streamed(stream, {_TENSOR: ("F16", shape)}, texts, rows())


def _row_bytes(path: Path, key: str, row: np.ndarray, shape: tuple[int, ...]) -> bytes:
    if row.shape != shape:
        raise UserError(f"{path}: features of {key} have shape {row.shape}, not {shape}")
    with np.errstate(over="ignore"):
        half = row.astype("<f2")
    if not np.isfinite(half).all():
        raise UserError(
            f"{path}: features of {key} are not all finite in float16; check the file or the "
            "encoder that they come from"
        )
    return half.tobytes()


def _map_views(path: Path, header: dict[str, Any], data_start: int) -> np.memmap:
    entry = header.get(_TENSOR)
    if entry is None:
        tensors = sorted(name for name in header if name != "__metadata__")
        raise UserError(
            f"{path}: no tensor named '{_TENSOR}' but {truncate(tensors, 200)}: this is not a "
            "feature store"
        )
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if dtype != "F16" or len(shape) != 3 or shape[1] != NUM_VIEWS:
        raise UserError(
            f"{path}: '{_TENSOR}' is {dtype} {truncate(shape)}, but F16 (viewpoints, "
            f"{NUM_VIEWS}, width) is expected; {HINT}"
        )
    if 0 in shape:
        raise UserError(f"{path}: '{_TENSOR}' is empty, {shape}; {HINT}")
    start = data_start + entry["data_offsets"][0]
    return np.memmap(path, dtype="<f2", mode="r", offset=start, shape=shape)


def _check_metadata(
    path: Path, metadata: dict[str, Any], keys: Any, shape: tuple[int, ...]
) -> None:
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path}: format version {truncate(version)} of a feature store, but version "
            f"{FORMAT_VERSION} is expected; {HINT}"
        )
    order = metadata.get("view_order")
    if order != VIEW_ORDER:
        raise UserError(
            f"{path}: view order is {truncate(order)!r}, but {VIEW_ORDER!r} is expected; {HINT}"
        )
    if not isinstance(keys, list) or len(keys) != shape[0]:
        count = len(keys) if isinstance(keys, list) else "no"
        raise UserError(f"{path}: {count} keys for {shape[0]} viewpoints; {HINT}")
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise UserError(f"{path}: its keys are not distinct strings; {HINT}")
