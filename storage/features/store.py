"""CLIP features of panoramas: the feature store, read through memory maps."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.storage import atomic_write
from clipnav.storage.errors import UnknownNameError, UserError, shortened
from clipnav.storage.features.sharded_views import ShardedViews
from clipnav.storage.features.store_file import (
    FORMAT_FIELDS,
    REMEDY,
    SKIPPED,
    VIEWPOINTS_OF_ALL,
    check_store_name,
    feature_key,
    map_store_file,
    write_store_file,
)

_EXPONENT = 0x7C00  # exponent bits of float16: all are set in infinities and NaN


class FeatureStore:
    """Features of V viewpoints, 36 views each, D numbers per view.

    `clipnav.storage.features.opening.open_store` opens a store;
    `clipnav.storage.features.memory.store_of_arrays` makes one of arrays. A store of files pickles
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
                f"{shortened(wrong[0])}"
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
                raise UserError(
                    f"{self._file_of(row)}: features of viewpoint {viewpoint} of scan {scan} are "
                    f"not all finite; {REMEDY}"
                )
            self._known_finite[row] = True

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
        return torch.from_numpy(np.asarray(self.views[rows])).float().numpy()

    def _file_of(self, row: int) -> Path:
        """Return the file that contains a row."""
        if not isinstance(self.views, ShardedViews):
            return self.path
        return self.files[self.views.part_of(row)]

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


def common_metadata(stores: Sequence[FeatureStore]) -> dict[str, Any]:
    """Return the metadata of a sharded store, as `FeatureStore.write` takes it for a whole store.

    Raises:
        UserError: The metadata of two shards differs.
    """
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
