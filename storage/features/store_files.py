"""Files of feature stores: what their headers must say before their numbers are mapped."""

from pathlib import Path
from typing import Any

import numpy as np

from storage.features.view_grid import NUM_VIEWS, VIEW_ORDER
from storage.json_files import parse_json, shortened
from storage.tensor_files import read_header

FORMAT_VERSION = 1
# What precomputed features come in: CLIP-ViL's TSV, HAMT's HDF5, LMDB.
OTHER_FORMATS = (".tsv", ".h5", ".hdf5", ".lmdb")
TENSOR = "views"
REMEDY = "extract again with scripts/extract_features.py"
_SUFFIX = ".safetensors"


def read_store_file(path: Path) -> tuple[list[str], dict[str, Any], np.memmap]:
    """Read the header of a file and map its numbers.

    Returns:
        `scan_viewpoint` of each row, metadata, and (V, 36, D) float16.

    Raises:
        ValueError: The file is damaged, or its format or view order does not fit.
    """
    header, data_start = _read_header(path)
    views = _map_views(path, header, data_start)
    metadata = {name: _decode(text) for name, text in header.get("__metadata__", {}).items()}
    keys = metadata.pop("keys", None)
    _check_metadata(path, metadata, keys, views.shape)
    return keys, metadata, views


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header of a store and the byte where its data starts."""
    try:
        return read_header(path)
    except ValueError as error:
        if path.suffix != _SUFFIX:
            kinds = ", ".join((_SUFFIX, *OTHER_FORMATS))
            raise ValueError(f"{path}: not a file of features; {kinds} files are read") from error
        raise ValueError(f"{error}; fetch it again, or {REMEDY}") from error


def _map_views(path: Path, header: dict[str, Any], data_start: int) -> np.memmap:
    entry = header.get(TENSOR)
    if entry is None:
        tensors = sorted(name for name in header if name != "__metadata__")
        raise ValueError(
            f"{path}: no tensor named '{TENSOR}' but {shortened(tensors, 200)}: this is not a "
            "feature store"
        )
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if dtype != "F16" or len(shape) != 3 or shape[1] != NUM_VIEWS:
        raise ValueError(
            f"{path}: '{TENSOR}' is {dtype} {shortened(shape)}, but F16 (viewpoints, {NUM_VIEWS}, "
            "width) is expected"
        )
    if 0 in shape:
        raise ValueError(f"{path}: '{TENSOR}' is empty, {shape}; {REMEDY}")
    start = data_start + entry["data_offsets"][0]
    return np.memmap(path, dtype="<f2", mode="r", offset=start, shape=shape)


def _check_metadata(
    path: Path, metadata: dict[str, Any], keys: Any, shape: tuple[int, ...]
) -> None:
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path}: feature store of format version {shortened(version)}, but {FORMAT_VERSION} "
            "is read here"
        )
    order = metadata.get("view_order")
    if order != VIEW_ORDER:
        raise ValueError(
            f"{path}: views are in the order {shortened(order)!r}, but {VIEW_ORDER!r} is expected; "
            "encode them again with scripts/extract_features.py"
        )
    if not isinstance(keys, list) or len(keys) != shape[0]:
        named = len(keys) if isinstance(keys, list) else "no"
        raise ValueError(f"{path}: {named} keys for {shape[0]} viewpoints; {REMEDY}")
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise ValueError(f"{path}: its keys are not distinct texts; {REMEDY}")


def _decode(text: str) -> Any:
    """A metadata value, which other writers may have left as plain text."""
    try:
        return parse_json(text, "metadata", "", allow_nan=True)
    except ValueError:
        return text
