"""CLIP features of panoramas on disk: safetensors files, read through memory maps."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.sharded_views import ShardedViews
from storage import written_whole
from storage.json_files import parse_json
from storage.tensor_files import header_bytes, read_header

FORMAT_VERSION = 1
NUM_VIEWS = 36
# What precomputed features come in: CLIP-ViL's TSV, HAMT's HDF5, LMDB.
OTHER_FORMATS = (".tsv", ".h5", ".hdf5", ".lmdb")
# Row v of a viewpoint is 12 * elevation band + heading step, as MatterSim numbers its views
# (MatterSim.cpp:378-390: -30 degrees first).
VIEW_ORDER = "bottom,middle,top x 12 headings clockwise from 0"
_TENSOR, _SUFFIX = "views", ".safetensors"
_REMEDY = "extract again with scripts/extract_features.py"
_INFINITE = 0x7C00  # exponent bits of float16: infinities and NaN have all of them
_ROWS_AT_ONCE = 64


def feature_key(scan: str, viewpoint: str) -> str:
    """Name of a viewpoint within a store: `scan_viewpoint`."""
    return f"{scan}_{viewpoint}"


class FeatureStore:
    """Features of V viewpoints, 36 views each, D numbers a view.

    Open one with `FeatureStore.open`. A store pickles as its path, so that worker processes share
    the pages of the file instead of receiving copies of it.

    Attributes:
        path: The safetensors file, or where it would lie if the store were not in shards.
        keys: `scan_viewpoint` of each row, in row order.
        metadata: Format version, encoder, SHA-256 of its weights, preprocessing, view order, ...
        views: (V, 36, D) float16, memory-mapped, read-only.
    """

    def __init__(
        self,
        path: Path,
        keys: list[str],
        metadata: dict[str, Any],
        views: np.memmap | ShardedViews,
    ) -> None:
        self.path = path
        self.keys = keys
        self.metadata = metadata
        self.views = views
        self._rows = {key: row for row, key in enumerate(keys)}
        self._known_finite = np.zeros(len(keys), bool)

    @classmethod
    def open(cls, path: str | Path, expected_width: int | None = None) -> "FeatureStore":
        """Map a store into memory.

        Args:
            path: A file that `FeatureStore.write` made; where shards of one lie, the name that they
                have without their numbers; or a file of another format that
                `encoders.feature_files` reads, of which a store is kept in the cache.
            expected_width: Refuse a store whose D is another number. Of files of other formats,
                the first so many numbers of each view are read.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, or its format, view order or width does not fit.
        """
        path = Path(path)
        if path.suffix in OTHER_FORMATS and path.exists():
            from encoders.feature_files import cached_store

            path = cached_store(path, expected_width)
        if path.is_file():
            store = cls._open_file(path)
        else:
            store = cls._open_shards(path)
        if expected_width is not None and store.width != expected_width:
            raise ValueError(
                f"{path}: features are {store.width} wide, but {expected_width} are expected; "
                "encode the views again with the encoder that the run was trained with"
            )
        return store

    @classmethod
    def _open_file(cls, path: Path) -> "FeatureStore":
        header, data_start = _read_header(path)
        views = _map_views(path, header, data_start)
        metadata = {name: _decode(text) for name, text in header.get("__metadata__", {}).items()}
        keys = metadata.pop("keys", None)
        _check_metadata(path, metadata, keys, views.shape)
        return cls(path, keys, metadata, views)

    @classmethod
    def _open_shards(cls, path: Path) -> "FeatureStore":
        from encoders.shards import common_metadata, shard_paths

        stores = [cls._open_file(shard) for shard in shard_paths(path)]
        if not stores:
            raise FileNotFoundError(
                f"{path}: no such feature store; make it with scripts/extract_features.py"
            )
        own = {key: stores[0].metadata[key] for key in ("format_version", "view_order")}
        keys = [key for store in stores for key in store.keys]
        views = ShardedViews([np.asarray(store.views) for store in stores])
        return cls(path, keys, {**common_metadata(stores), **own}, views)

    @staticmethod
    def write(
        path: str | Path,
        views: Iterable[np.ndarray],
        keys: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a store beside its place and move it there.

        Args:
            path: Where the store shall lie.
            views: (V, 36, D) array, or an iterable of V arrays (36, D); stored as float16.
            keys: V distinct names `scan_viewpoint`.
            metadata: What else a reader should know; values that JSON can hold.

        Raises:
            ValueError: Shapes or counts do not fit, or a feature is not a finite float16.
        """
        path = Path(path)
        if len(set(keys)) != len(keys):
            raise ValueError(f"{path}: the keys of a feature store must differ from each other")
        with written_whole(path) as beside:
            _write_file(beside, path, iter(views), list(keys), dict(metadata or {}))

    @property
    def width(self) -> int:
        """D, the numbers that describe one view."""
        return self.views.shape[2]

    def row(self, scan: str, viewpoint: str) -> int:
        """Row of a viewpoint.

        Raises:
            KeyError: The store lacks that viewpoint.
        """
        key = feature_key(scan, viewpoint)
        if key not in self._rows:
            raise KeyError(
                f"{self.path}: no features of viewpoint {viewpoint} of scan {scan}; encode that "
                "scan with scripts/extract_features.py"
            )
        return self._rows[key]

    def check_finite(self, rows: np.ndarray) -> None:
        """Check that the features of some viewpoints are finite; each row is read only once.

        Args:
            rows: (N,) integers.

        Raises:
            ValueError: There is an infinity or NaN; names the viewpoint.
        """
        known = self._known_finite[rows]
        if known.all():
            return
        new = np.unique(rows[~known])
        for start in range(0, len(new), _ROWS_AT_ONCE):
            chosen = new[start : start + _ROWS_AT_ONCE]
            bits = np.asarray(self.views[chosen]).view(np.uint16) & _INFINITE
            finite = bits.reshape(len(chosen), -1).max(1) < _INFINITE
            if not finite.all():
                row = int(chosen[finite.argmin()])
                scan, _, viewpoint = self.keys[row].rpartition("_")
                raise ValueError(
                    f"{self._file_of(row)}: features of viewpoint {viewpoint} of scan {scan} are not all "
                    f"finite; the file is damaged or was made wrongly: {_REMEDY}"
                )
            self._known_finite[chosen] = True

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copy the features of some viewpoints.

        Args:
            rows: (N,) integers.

        Returns:
            (N, 36, D) float32.

        Raises:
            ValueError: They are not all finite.
        """
        import torch  # numpy widens number by number, torch sixteen at once

        self.check_finite(rows)
        return torch.from_numpy(np.asarray(self.views[rows])).float().numpy()

    def _file_of(self, row: int) -> Path:
        """The file that holds a row."""
        from encoders.shards import shard_paths

        if not isinstance(self.views, ShardedViews):
            return self.path
        return shard_paths(self.path)[self.views.part_of(row)]

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureStore.open, (self.path,)

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.path)!r}, viewpoints={len(self)}, width={self.width})"


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Header of a store and the byte where its data starts."""
    try:
        return read_header(path)
    except ValueError as error:
        if path.suffix != _SUFFIX:
            kinds = ", ".join((_SUFFIX, *OTHER_FORMATS))
            raise ValueError(f"{path}: not a file of features; these are {kinds}") from error
        raise ValueError(f"{error}; fetch it again, or {_REMEDY}") from error


def _map_views(path: Path, header: dict[str, Any], data_start: int) -> np.memmap:
    entry = header.get(_TENSOR)
    if entry is None:
        tensors = sorted(name for name in header if name != "__metadata__")
        raise ValueError(
            f"{path}: no tensor named '{_TENSOR}' but {tensors}: this is not a feature store"
        )
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if dtype != "F16" or len(shape) != 3 or shape[1] != NUM_VIEWS:
        raise ValueError(
            f"{path}: '{_TENSOR}' is {dtype} {shape}, but F16 (viewpoints, {NUM_VIEWS}, width) is "
            "expected"
        )
    if 0 in shape:
        raise ValueError(f"{path}: '{_TENSOR}' is empty, {shape}; {_REMEDY}")
    start = data_start + entry["data_offsets"][0]
    return np.memmap(path, dtype="<f2", mode="r", offset=start, shape=shape)


def _check_metadata(
    path: Path, metadata: dict[str, Any], keys: Any, shape: tuple[int, ...]
) -> None:
    version = metadata.get("format_version")
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path}: feature store of format version {version}, but {FORMAT_VERSION} is read here"
        )
    order = metadata.get("view_order")
    if order != VIEW_ORDER:
        raise ValueError(
            f"{path}: views are in the order {order!r}, but {VIEW_ORDER!r} is expected; encode "
            "them again with scripts/extract_features.py"
        )
    if not isinstance(keys, list) or len(keys) != shape[0]:
        named = len(keys) if isinstance(keys, list) else "no"
        raise ValueError(f"{path}: {named} keys for {shape[0]} viewpoints; {_REMEDY}")
    if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise ValueError(f"{path}: its keys are not distinct texts; {_REMEDY}")


def _write_file(
    beside: Path, path: Path, views: Any, keys: list[str], metadata: dict[str, Any]
) -> None:
    first = np.asarray(next(views, np.zeros((NUM_VIEWS, 0))))
    if first.ndim != 2 or first.shape[0] != NUM_VIEWS:
        raise ValueError(
            f"{path}: features of {keys[:1]} have shape {first.shape}, not ({NUM_VIEWS}, width)"
        )
    with beside.open("wb") as file:
        file.write(_header_bytes(len(keys), first.shape[1], keys, metadata))
        written = 0
        if keys:
            file.write(_row_bytes(path, keys[0], first, first.shape))
            written = 1
        for row in views:
            if written < len(keys):
                file.write(_row_bytes(path, keys[written], np.asarray(row), first.shape))
            written += 1
    if written != len(keys):
        raise ValueError(f"{path}: {written} viewpoints were given for {len(keys)} keys")


def _header_bytes(count: int, width: int, keys: list[str], metadata: dict[str, Any]) -> bytes:
    described = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "view_order": VIEW_ORDER,
        "keys": keys,
    }
    # safetensors wants strings only, hence JSON within JSON.
    texts = {name: json.dumps(value) for name, value in described.items()}
    return header_bytes({_TENSOR: ("F16", (count, NUM_VIEWS, width))}, texts)


def _row_bytes(path: Path, key: str, row: np.ndarray, shape: tuple[int, ...]) -> bytes:
    if row.shape != shape:
        raise ValueError(f"{path}: features of {key} have shape {row.shape}, not {shape}")
    with np.errstate(over="ignore"):
        half = row.astype("<f2")
    if not np.isfinite(half).all():
        raise ValueError(
            f"{path}: features of {key} are not all finite in float16; the file or the encoder "
            "that they come from is damaged"
        )
    return half.tobytes()


def _decode(text: str) -> Any:
    """A metadata value, which other writers may have left as plain text."""
    try:
        return parse_json(text, "metadata", "", allow_nan=True)
    except ValueError:
        return text
