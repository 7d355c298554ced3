"""Speed of reading features of random viewpoints, compared with HDF5.

HAMT and DUET store features in HDF5 with one data set per viewpoint; HAMT opens the file again for
each viewpoint that is not in memory. All files are in the page cache after the first read.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import tyro
from measuring import BenchmarkConfig, Figure, rate, report

from clipnav.storage.features.formats import write_features
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.shards import Shard

_BLOCK = 100  # number of distinct random viewpoints, which are repeated


@dataclass(frozen=True)
class StoreConfig(BenchmarkConfig):
    """Measure the speed of random reads of features."""

    viewpoints: int = 10_000
    """Number of viewpoints in the store; Matterport3D has 10,567."""
    width: int = 512
    """Width of a view's features."""
    batch_size: int = 64
    """Number of viewpoints per read."""
    shards: int = 8
    """Number of shards of the sharded store."""
    seconds: float = 3.0
    """CPU seconds per figure."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(StoreConfig)
    if config.quick:
        config = dataclasses.replace(config, viewpoints=200, width=8, shards=2, seconds=0.02)
    with TemporaryDirectory() as folder:
        report("store", _figures(config, Path(folder)), config.json)


def _figures(config: StoreConfig, folder: Path) -> list[Figure]:
    keys = [f"scan_{i % 90}_{i}" for i in range(config.viewpoints)]
    single, sharded, hdf5 = (
        folder / name for name in ("single.safetensors", "sharded.safetensors", "keys.h5")
    )
    write_features(single, keys, _rows(config, keys), {})
    write_features(hdf5, keys, _rows(config, keys), {})
    for index in range(config.shards):
        shard = Shard(index, config.shards)
        part = shard.part(keys)
        write_features(shard.path(sharded), part, _rows(config, part), {})
    figures = []
    for name, path in (("store", single), ("sharded store", sharded)):
        start = time.process_time()
        store = open_store(path)
        opening = 1000 * (time.process_time() - start)
        figures.append(Figure(f"opening the {name}", opening, "CPU ms"))
        bar = 1.0 if name == "store" and not config.quick else None
        figures += [
            _figure(config, f"{name}, float16", lambda rows, s=store: s.views[rows], bar),
            _figure(config, f"{name}, as float32", store.take),
        ]
    file: Any

    def read(rows: np.ndarray) -> None:
        for row in rows:
            file[keys[row]][...]

    def reopen(rows: np.ndarray) -> None:
        for row in rows:
            with h5py.File(hdf5) as reopened:
                reopened[keys[row]][...]  # pyright: ignore

    with h5py.File(hdf5) as file:
        figures.append(_figure(config, "HDF5 by keys, open file", read))
    figures.append(_figure(config, "HDF5 by keys, reopened for each", reopen))
    size = single.stat().st_size / 2**20
    return [*figures, Figure("size of the store", size, "MiB")]


def _figure(
    config: StoreConfig, name: str, read: Callable[[np.ndarray], object], bar: float | None = None
) -> Figure:
    rng = np.random.default_rng(0)

    def work() -> None:
        read(rng.integers(config.viewpoints, size=config.batch_size))

    milliseconds = 1000 / rate(work, 1, config.seconds)
    return Figure(f"{config.batch_size} viewpoints, {name}", milliseconds, "CPU ms", bar, True)


def _rows(config: StoreConfig, keys: Sequence[str]) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    block = rng.standard_normal((_BLOCK, 36, config.width), np.float32).astype(np.float16)
    for index, _ in enumerate(keys):
        yield block[index % _BLOCK]


if __name__ == "__main__":
    main()
