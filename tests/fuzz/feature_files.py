"""Samples of feature files of panoramas, and of grid features of images."""

from pathlib import Path
from typing import Any

import numpy as np
from samples import KEYS, Sample


def _views() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 36, 8)).astype(np.float16)


def _read_all(path: Path, **options: Any) -> object:
    from clipnav.storage.features.opening import open_store

    store = open_store(path, **options)
    return store.take(np.arange(len(store)))


def store(folder: Path) -> Sample:
    from clipnav.storage.features.store import FeatureStore

    path = folder / "store.safetensors"
    FeatureStore.write(path, _views(), KEYS, {"encoder": "test"})
    return path, lambda: _read_all(path)


def store_in_shards(folder: Path) -> Sample:
    from clipnav.storage.features.shards import Shard
    from clipnav.storage.features.store import FeatureStore

    path = folder / "store.safetensors"
    shards = [Shard(index, 2).path(path) for index in range(2)]
    for number, shard in enumerate(shards):
        keys = [f"{key}{number}" for key in KEYS]
        FeatureStore.write(shard, _views(), keys, {"encoder": "test"})
    return shards[1], lambda: _read_all(path)


def _features(folder: Path, suffix: str) -> Sample:
    from clipnav.storage.features.formats import write_features
    from clipnav.storage.features.opening import read_features

    path = folder / f"features{suffix}"
    write_features(path, KEYS, _views(), {})
    return path, lambda: list(read_features(path).rows)


def features_tsv(folder: Path) -> Sample:
    return _features(folder, ".tsv")


def features_hdf5(folder: Path) -> Sample:
    return _features(folder, ".hdf5")


def features_hdf5_packed(folder: Path) -> Sample:
    import h5py

    path, read = _features(folder, ".h5")
    with h5py.File(path, "w") as file:
        for key, row in zip(KEYS, _views(), strict=True):
            file.create_dataset(key, data=row, compression="gzip", chunks=True)
    return path, read


def features_lmdb(folder: Path) -> Sample:
    return _features(folder, ".lmdb")


def features_lmdb_packed(folder: Path) -> Sample:
    import lmdb
    import msgspec

    path, read = _features(folder, ".lmdb")
    path.unlink()
    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            for number in range(60):
                row = _views()[number % 3].astype("f4")
                fields = {b"nd": True, b"type": row.dtype.str, b"shape": row.shape, b"kind": b""}
                packed = msgspec.msgpack.encode({**fields, b"data": row.tobytes()})
                transaction.put(f"attic_a{number}".encode(), packed)
    return path, read


def partial_store(folder: Path) -> Sample:
    from clipnav.storage.features.partial_store import PartialStore

    def start() -> PartialStore:
        return PartialStore(folder / "store.safetensors", KEYS, 8, {"encoder": "test"})

    def resume() -> None:
        started = start()
        try:
            for row in _views()[started.done :]:
                started.append(row)
            started.write_store()
        finally:
            started.close()

    first = start()
    for row in _views():
        first.append(row)
    first.close()
    return first.path, resume


def grid_cache(folder: Path) -> Sample:
    from clipnav.vl_tasks.grids.grid_cache import GridCache

    grids = np.random.default_rng(0).standard_normal((3, 2, 2, 4)).astype(np.float16)
    GridCache(folder, "clip").add(KEYS, grids, np.ones((3, 2, 2), bool))
    return folder / "00000.safetensors", lambda: GridCache(folder, "clip").read(KEYS)
