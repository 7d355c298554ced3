"""CLIP features of panoramas on disk: safetensors files, read through memory maps."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from storage import atomic_write
from storage.features.sharded_views import ShardedViews
from storage.features.store_files import (
    FORMAT_VERSION,
    OTHER_FORMATS,
    REMEDY,
    TENSOR,
    read_store_file,
)
from storage.features.view_grid import NUM_VIEWS, VIEW_ORDER
from storage.tensor_files import header_bytes

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
                `storage.features.formats` reads, of which a store is kept in the cache.
            expected_width: Refuse a store whose D is another number. Of files of other formats,
                the first so many numbers of each view are read.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, or its format, view order or width does not fit.
        """
        path = Path(path)
        if path.suffix in OTHER_FORMATS and path.exists():
            from storage.features.formats import cached_store

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
        return cls(path, *read_store_file(path))

    @classmethod
    def _open_shards(cls, path: Path) -> "FeatureStore":
        from storage.features.shards import common_metadata, shard_paths

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
        with atomic_write(path) as beside:
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
                    f"{self._file_of(row)}: features of viewpoint {viewpoint} of scan {scan} are "
                    f"not all finite; the file is damaged or was made wrongly: {REMEDY}"
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
        from storage.features.shards import shard_paths

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
    return header_bytes({TENSOR: ("F16", (count, NUM_VIEWS, width))}, texts)


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
