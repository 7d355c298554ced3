"""Open feature files of any kind: one store file, shards, or a file of another format."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.features.isolated_files import LMDB_DATA
from clipnav.storage.features.shards import shard_paths
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.store_file import OTHER_FORMATS
from clipnav.storage.locks import waiting_lock
from clipnav.storage.progress import progress_bar

if TYPE_CHECKING:
    from clipnav.storage.features.formats import FeatureRows


def open_store(path: str | Path, expected_width: int | None = None) -> FeatureStore:
    """Open a feature store.

    Args:
        path: A .safetensors file that `FeatureStore.write` wrote; or the path of a store that
            exists only in shards, without the numbers of the shards; or a .tsv, .h5, .hdf5 or
            .lmdb file, which is converted into a store in the cache.
        expected_width: Refuse a store whose D is another number. Of files of other formats, read
            the first `expected_width` numbers of each view.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is damaged, or its format, view order or width does not fit.
    """
    path = Path(path)
    if path.suffix in OTHER_FORMATS and path.exists():
        path = cached_store(path, expected_width)
    if path.is_file():
        store = FeatureStore.from_file(path)
    elif shards := shard_paths(path):
        store = FeatureStore.from_shards(path, shards)
    else:
        raise FileNotFoundError(
            f"{path}: no such feature store; make it with clipnav extract-features"
        )
    if expected_width is not None and store.width != expected_width:
        raise UserError(
            f"{path}: features are {store.width} wide, but {expected_width} are expected; "
            "encode the views again with the encoder that the run was trained with"
        )
    return store


def cached_store(path: Path, width: int | None = None) -> Path:
    """Return the feature store of a file in another format, written to the cache once."""
    # LMDB's default is a folder, whose own state does not change with the file in it.
    stat = (path / LMDB_DATA if (path / LMDB_DATA).is_file() else path).stat()
    identity = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {width}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    store = cache_dir() / "features" / f"{path.stem}-{digest}.safetensors"
    if store.is_file():
        return store
    with waiting_lock(store):
        if not store.is_file():
            from clipnav.storage.features.formats import read_foreign_features

            keys, rows, metadata = read_foreign_features(path, width)
            desc = f"{path.name} to {store}"
            bar = progress_bar(rows, total=len(keys), desc=desc, unit="viewpoints")
            FeatureStore.write(store, bar, keys, metadata)
    return store


def read_features(path: str | Path, width: int | None = None) -> "FeatureRows":
    """Read features of any known format, row by row.

    Args:
        width: D. A store of another width is refused; of other formats, the first `width` numbers
            of each view are read.
    """
    from clipnav.storage.features.formats import FeatureRows, read_foreign_features

    path = Path(path)
    if path.suffix != ".safetensors":
        return read_foreign_features(path, width)
    store = open_store(path, width)
    return FeatureRows(store.keys, _checked_rows(store), dict(store.metadata))


def _checked_rows(store: FeatureStore) -> Iterator[np.ndarray]:
    for row, views in enumerate(store.views):
        store.check_finite(np.array([row]))
        yield views
