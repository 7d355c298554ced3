"""CLIP features of panoramas: the feature store, read through memory maps or kept in memory."""

import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage import atomic_write
from clipnav.storage.errors import UnknownNameError, UserError, truncate
from clipnav.storage.features.store_file import (
    FORMAT_FIELDS,
    HINT,
    SKIPPED,
    VIEWPOINTS_OF_ALL,
    check_store_name,
    feature_key,
    map_store_file,
    write_store_file,
)
from clipnav.storage.features.view_grid import NUM_VIEWS

_EXPONENT = 0x7C00  # exponent bits of float16: all are set in infinities and NaN
_RESIDENT = 16 << 20  # bytes read from memory maps before their pages are released
Arrays = Mapping[str, np.ndarray] | np.ndarray

_NAME = Path("features")


class ShardedViews:
    """Arrays (V_i, 36, D) that are read like one array (V, 36, D).

    Rows are indexed by an integer, a slice or an array of integers, and are copies. `np.asarray`
    reads all views into memory.

    Attributes:
        parts: The arrays.
        shape: (V, 36, D).
        dtype: float16.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts = list(parts)
        lengths = [len(part) for part in parts]
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.shape: tuple[int, ...] = (sum(lengths), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        indices = np.arange(len(self))[rows]  # checks bounds and resolves negative indices
        parts = np.searchsorted(self._starts, indices, side="right") - 1
        views = np.empty((*indices.shape, *self.shape[1:]), self.dtype)
        for part in np.unique(parts):
            in_part = parts == part
            views[in_part] = self.parts[part][indices[in_part] - self._starts[part]]
        return views

    def part_of(self, row: int) -> int:
        """Return the index of the part that contains a row."""
        return int(np.searchsorted(self._starts, row, side="right")) - 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise UserError("views in several files cannot be one array without copying them")
        return np.concatenate(self.parts, dtype=dtype)

    def __iter__(self) -> Iterator[np.ndarray]:
        for part in self.parts:
            yield from part

    def __len__(self) -> int:
        return self.shape[0]


class FeatureStore:
    """Features of V viewpoints, 36 views each, D numbers per view.

    `clipnav.storage.features.opening.open_store` opens a store;
    `clipnav.storage.features.store.store_of_arrays` makes one of arrays. A store of files pickles
    as their paths, so that worker processes share the pages of the files instead of receiving
    copies.

    Attributes:
        path: The safetensors file; of a sharded store, the path that the merged file would have;
            of arrays in memory, only a name for messages.
        keys: `scan_viewpoint` of each row, in row order.
        metadata: Format version, encoder, SHA-256 of its weights, preprocessing, view order, ...
        views: (V, 36, D) float16, read-only, memory-mapped unless the store is in memory.
        files: The file, or the files of the shards in order.
    """

    def __init__(
        self,
        path: Path,
        keys: list[str],
        metadata: dict[str, Any],
        views: np.ndarray | ShardedViews,
        files: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self.keys = keys
        self.metadata = metadata
        self.views = views
        self.files = tuple(files) or (path,)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._known_finite = np.zeros(len(keys), bool)
        self._maps = _memory_maps(views)
        self._rows_read = 0

    @classmethod
    def from_file(cls, path: Path) -> "FeatureStore":
        """Map one file into memory.

        Raises:
            FileNotFoundError: There is no such file.
            UserError: The file is damaged, or its format or view order does not fit.
        """
        return cls(path, *map_store_file(path))

    @classmethod
    def from_shards(cls, path: Path, files: Sequence[Path]) -> "FeatureStore":
        """Map the shards of a store into memory.

        Args:
            path: The path that the merged file would have.
            files: All shards, in order.

        Raises:
            UserError: A shard is damaged, or the shards are from different runs.
        """
        stores = [cls.from_file(file) for file in files]
        format_metadata = {name: stores[0].metadata[name] for name in FORMAT_FIELDS}
        keys = [key for store in stores for key in store.keys]
        views = ShardedViews([np.asarray(store.views) for store in stores])
        return cls(path, keys, {**common_metadata(stores), **format_metadata}, views, files)

    @staticmethod
    def write(
        path: str | Path,
        views: Iterable[np.ndarray],
        keys: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a store; an existing file is replaced when the new one is complete.

        Args:
            path: The safetensors file.
            views: (V, 36, D) array, or an iterable of V arrays (36, D); stored as float16.
            keys: V distinct names `scan_viewpoint`.
            metadata: Further values to record; JSON must be able to represent them.

        Raises:
            UserError: The file has another suffix than .safetensors, shapes or counts do not fit,
                a key is no string, or a feature is not a finite float16.
        """
        path = Path(path)
        check_store_name(path)
        wrong = [key for key in keys if not isinstance(key, str)]
        if wrong:
            raise UserError(
                f"{path}: the keys of a feature store must be strings 'scan_viewpoint', not "
                f"{truncate(wrong[0])}"
            )
        if len(set(keys)) != len(keys):
            raise UserError(f"{path}: the keys of a feature store must be distinct")
        with atomic_write(path) as beside:
            write_store_file(beside, path, iter(views), list(keys), dict(metadata or {}))

    @property
    def width(self) -> int:
        """D, the numbers per view."""
        return self.views.shape[2]

    @property
    def encoder(self) -> str:
        """Encoder of the features and digest of its weights, as far as the metadata has them."""
        fields = (str(self.metadata.get(name, "")) for name in ("encoder", "weights_sha256"))
        return " ".join(fields).strip()

    def row(self, scan: str, viewpoint: str) -> int:
        """Return the row of a viewpoint.

        Raises:
            UnknownNameError: The store lacks that viewpoint.
        """
        key = feature_key(scan, viewpoint)
        if key not in self._rows:
            raise UnknownNameError(
                f"{self.path}: no features of viewpoint {viewpoint} of scan {scan}; write a store "
                "of all scans of the split with clipnav extract-features, or with "
                "clipnav.WorldViews for an encoder of your own"
            )
        return self._rows[key]

    def check_finite(self, rows: np.ndarray) -> None:
        """Check that the features of some viewpoints are finite; each row is read only once.

        Args:
            rows: (N,) integers.

        Raises:
            UserError: A feature is infinite or NaN; names the viewpoint.
        """
        known = self._known_finite[rows]
        if known.all():
            return
        # Rows of a plain array are views of the file; those of a memory map take longer to make.
        views = np.asarray(self.views) if isinstance(self.views, np.memmap) else self.views
        for row in dict.fromkeys(rows[~known].tolist()):
            if (views[row].view(np.uint16) & _EXPONENT).max() == _EXPONENT:
                scan, _, viewpoint = self.keys[row].rpartition("_")
                file = self.path
                if isinstance(self.views, ShardedViews):
                    file = self.files[self.views.part_of(row)]
                raise UserError(
                    f"{file}: features of viewpoint {viewpoint} of scan {scan} are "
                    f"not all finite; {HINT}"
                )
            self._known_finite[row] = True
            self.count_read(1)

    def count_read(self, rows: int) -> None:
        """Count rows that were read, and release the pages of memory maps every 16 MiB.

        Released pages stay in the cache of the system, from which later reads take them, but are
        no memory of this process.
        """
        self._rows_read += rows
        if self._rows_read * NUM_VIEWS * self.width * self.views.dtype.itemsize < _RESIDENT:
            return
        self._rows_read = 0
        if hasattr(mmap, "MADV_DONTNEED"):  # Windows has no madvise
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Copy the features of some viewpoints.

        Args:
            rows: (N,) integers.

        Returns:
            (N, 36, D) float32.

        Raises:
            UserError: They are not all finite.
        """
        import torch  # converts sixteen float16 numbers at once; numpy converts one at a time

        self.check_finite(rows)
        views = torch.from_numpy(np.asarray(self.views[rows])).float().numpy()
        self.count_read(len(rows))
        return views

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __reduce__(self) -> tuple[Any, ...]:
        if isinstance(self.views, ShardedViews):
            return FeatureStore.from_shards, (self.path, self.files)
        if not isinstance(self.views, np.memmap):
            return FeatureStore, (self.path, self.keys, self.metadata, self.views)
        return FeatureStore.from_file, (self.path,)

    def __repr__(self) -> str:
        return f"FeatureStore({str(self.path)!r}, viewpoints={len(self)}, width={self.width})"


def _memory_maps(views: np.ndarray | ShardedViews) -> list[mmap.mmap]:
    """Return the memory maps under arrays."""
    bases: list[Any] = list(views.parts) if isinstance(views, ShardedViews) else [views]
    for index, base in enumerate(bases):
        while isinstance(base, np.ndarray):
            base = base.base
        bases[index] = base
    return [base for base in bases if isinstance(base, mmap.mmap)]


def common_metadata(stores: Sequence[FeatureStore]) -> dict[str, Any]:
    """Return the metadata of a sharded store, as `FeatureStore.write` takes it."""
    metadata = own_metadata(stores[0])
    for store in stores[1:]:
        other = own_metadata(store)
        differing = [k for k in {**metadata, **other} if metadata.get(k) != other.get(k)]
        if differing:
            key = differing[0]
            raise UserError(
                f"{store.path} and {stores[0].path} are from different runs: '{key}' is "
                f"{other.get(key)!r} and {metadata.get(key)!r}; encode one of them again"
            )
    metadata.pop(VIEWPOINTS_OF_ALL, None)
    skipped = [key for store in stores for key in store.metadata.get(SKIPPED, ())]
    return {**metadata, SKIPPED: skipped} if skipped else metadata


def own_metadata(store: FeatureStore) -> dict[str, Any]:
    """Return the metadata that all shards of a store share, as given to `FeatureStore.write`."""
    return {k: v for k, v in store.metadata.items() if k not in (*FORMAT_FIELDS, SKIPPED)}


def store_of_arrays(features: Arrays, keys: Sequence[str]) -> FeatureStore:
    """Copy features in memory into a store.

    Args:
        features: Features (36, D) of each viewpoint by its key `scan_viewpoint`; or an array
            (V, 36, D) with the viewpoints in the order of `keys`. Numbers are stored as float16.
    """
    if isinstance(features, Mapping):
        missing = [key for key in keys if key not in features]
        if missing:
            raise UserError(
                f"features: {len(missing)} of {len(keys)} viewpoints are missing, such as "
                f"{missing[0]!r}; the keys must be 'scan_viewpoint'"
            )
        parts = [_checked(features[key], key) for key in keys]
        widths = sorted({part.shape[1] for part in parts})
        if len(widths) > 1:
            raise UserError(f"features: arrays have different widths D, such as {widths[:2]}")
        views = np.stack(parts)
    else:
        array = np.asarray(features)
        if array.ndim != 3 or len(array) != len(keys):
            raise UserError(
                f"features has shape {array.shape}, but must be ({len(keys)}, {NUM_VIEWS}, D), "
                "with the viewpoints in the order of load_split(...).nav_world.keys; a mapping "
                "from these keys to arrays is safer"
            )
        views = np.stack([_checked(part, key) for part, key in zip(array, keys, strict=True)])
    views.flags.writeable = False
    return FeatureStore(_NAME, list(keys), {}, views)


def _checked(features: np.ndarray, key: str) -> np.ndarray:
    """Return features of a viewpoint as float16."""
    features = np.asarray(features)
    if features.ndim != 2 or len(features) != NUM_VIEWS or features.dtype.kind not in "fiu":
        raise UserError(
            f"features of {key!r} have shape {features.shape} and type {features.dtype}, but must "
            f"be numbers of shape ({NUM_VIEWS}, D)"
        )
    with np.errstate(over="ignore"):
        converted = features.astype(np.float16)
    if not np.isfinite(converted).all():
        raise UserError(f"features of {key!r} are not all finite float16 numbers")
    return converted
