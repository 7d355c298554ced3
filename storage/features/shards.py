"""Encoding in parts, by several processes or machines, and putting the parts together."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage.features.partial_store import SKIPPED
from storage.features.store import FeatureStore
from storage.locks import sole_writer

# Names of a process's number and of how many there are: torchrun's, then Slurm's.
_LAUNCHERS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))
# What `FeatureStore.write` adds by itself.
_WRITERS_OWN = ("format_version", "view_order")


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, from 0."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str, environ: Mapping[str, str] = os.environ) -> "Shard":
        """Read "i/n", or "auto" for the number that torchrun or Slurm gave this process.

        Raises:
            ValueError: It is neither, i is not below n, or no launcher gave a number.
        """
        if text == "auto":
            for number, total in _LAUNCHERS:
                if number in environ and total in environ:
                    text = f"{environ[number]}/{environ[total]}"
                    break
            else:
                raise ValueError("shard auto: neither torchrun nor Slurm numbered this process")
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or int(match[1]) >= int(match[2]):
            raise ValueError(f"shard {text!r} is not i/n with i from 0 to n - 1")
        return cls(int(match[1]), int(match[2]))

    def part(self, keys: Sequence[str]) -> Sequence[str]:
        """Neighbouring keys, so that each building is met by as few processes as possible.

        Raises:
            ValueError: There are fewer keys than shards.
        """
        if len(keys) < self.count:
            raise ValueError(f"{len(keys)} viewpoints cannot be split into {self.count} shards")
        start, stop = (len(keys) * i // self.count for i in (self.index, self.index + 1))
        return keys[start:stop]

    def path(self, output: Path) -> Path:
        """Where the shard of a store lies: store-00000-of-00004.safetensors beside the store."""
        return output.with_name(f"{output.stem}-{self.index:05}-of-{self.count:05}{output.suffix}")


def is_finished(path: Path, keys: Sequence[str], metadata: Mapping[str, Any]) -> bool:
    """Whether a store of these viewpoints that records the same lies at `path` already."""
    if not path.is_file():
        return False
    store = FeatureStore.open(path)
    found = {*store.keys, *store.metadata.get(SKIPPED, ())}
    return found == set(keys) and _own_metadata(store) == json.loads(json.dumps(metadata))


def merge_shards(output: str | Path) -> None:
    """Put the shards beside `output` together; the bytes are those of a run without shards.

    Raises:
        FileNotFoundError: There is no shard, or some are missing.
        ValueError: Shards of several splittings lie there, or they differ in what they record.
        OutputInUseError: Another process writes the store.
    """
    output = Path(output)
    paths = shard_paths(output)
    if not paths:
        raise FileNotFoundError(f"{Shard(0, 1).path(output)}: no shard of this store, of any count")
    stores = [FeatureStore.open(path) for path in paths]
    metadata = common_metadata(stores)
    keys = [key for store in stores for key in store.keys]
    with sole_writer(output):
        FeatureStore.write(output, _rows(stores), keys, metadata)


def common_metadata(stores: Sequence[FeatureStore]) -> dict[str, Any]:
    """What the shards of a store record together.

    Raises:
        ValueError: They differ in something.
    """
    metadata = _own_metadata(stores[0])
    for store in stores[1:]:
        found = _own_metadata(store)
        differing = [k for k in {**metadata, **found} if metadata.get(k) != found.get(k)]
        if differing:
            key = differing[0]
            raise ValueError(
                f"{store.path} and {stores[0].path} are of different runs: '{key}' is "
                f"{found.get(key)!r} and {metadata.get(key)!r}; encode one of them again"
            )
    skipped = [key for store in stores for key in store.metadata.get(SKIPPED, ())]
    return {**metadata, SKIPPED: skipped} if skipped else metadata


def shard_paths(output: Path) -> list[Path]:
    """Files of the shards that lie beside where a store would; none if there are none.

    Raises:
        FileNotFoundError: Some are missing.
        ValueError: Shards of several splittings lie there.
    """
    pattern = re.compile(re.escape(output.stem) + r"-(\d{5})-of-(\d{5})" + re.escape(output.suffix))
    found = [match for path in output.parent.glob("*") if (match := pattern.fullmatch(path.name))]
    counts = {int(match[2]) for match in found}
    if len(counts) > 1:
        raise ValueError(
            f"{output}: shards of {sorted(counts)} parts lie beside each other; delete the old ones"
        )
    if not counts:
        return []
    count = counts.pop()
    paths = [Shard(index, count).path(output) for index in range(count)]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: this shard of the store is missing or not finished")
    return paths


def _own_metadata(store: FeatureStore) -> dict[str, Any]:
    return {k: v for k, v in store.metadata.items() if k not in (*_WRITERS_OWN, SKIPPED)}


def _rows(stores: Sequence[FeatureStore]) -> Iterator[np.ndarray]:
    for store in stores:
        yield from store.views
