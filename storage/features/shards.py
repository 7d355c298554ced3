"""Shards of a feature store, encoded by several processes or machines, and their merging."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore, common_metadata, own_metadata
from clipnav.storage.features.store_file import SKIPPED, VIEWPOINTS_OF_ALL
from clipnav.storage.locks import exclusive_lock

# Environment variables of rank and world size: torchrun's, then Slurm's.
_LAUNCHERS = (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"))


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, from 0."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str, environ: Mapping[str, str] = os.environ) -> "Shard":
        """Parse "i/n", or "auto" for the rank that torchrun or Slurm gave this process."""
        if text == "auto":
            for rank, world_size in _LAUNCHERS:
                if rank in environ and world_size in environ:
                    text = f"{environ[rank]}/{environ[world_size]}"
                    break
            else:
                raise UserError(
                    "shard auto: neither torchrun nor Slurm started this process; name i/n instead"
                )
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or int(match[1]) >= int(match[2]):
            raise UserError(f"shard {text!r}: must be i/n with i from 0 to n - 1")
        return cls(int(match[1]), int(match[2]))

    def part(self, keys: Sequence[str]) -> Sequence[str]:
        """Return consecutive keys, so that as few processes as possible load each building."""
        if len(keys) < self.count:
            raise UserError(
                f"{len(keys)} viewpoints cannot be split into {self.count} shards; use fewer"
            )
        start, stop = (len(keys) * i // self.count for i in (self.index, self.index + 1))
        return keys[start:stop]

    def metadata(self, keys: Sequence[str]) -> dict[str, str]:
        """Return metadata that differs for shards of other lists of keys; {} for the only shard."""
        if self.count == 1:
            return {}
        return {VIEWPOINTS_OF_ALL: hashlib.sha256("\n".join(keys).encode()).hexdigest()}

    def path(self, output: Path) -> Path:
        """Return the path of this shard: store-00000-of-00004.safetensors beside the store."""
        return output.with_name(f"{output.stem}-{self.index:05}-of-{self.count:05}{output.suffix}")


def is_finished(path: Path, keys: Sequence[str], metadata: Mapping[str, Any]) -> bool:
    """Return whether `path` is a store of these viewpoints with the same metadata."""
    if not path.is_file():
        return False
    store = FeatureStore.from_file(path)
    stored = {*store.keys, *store.metadata.get(SKIPPED, ())}
    own = {name: value for name, value in metadata.items() if name != SKIPPED}
    wanted = {*keys, *metadata.get(SKIPPED, ())}
    return stored == wanted and own_metadata(store) == json.loads(json.dumps(own))


def merge_shards(output: str | Path) -> None:
    """Merge the shards beside `output`; the result equals a store written without shards."""
    output = Path(output)
    paths = shard_paths(output)
    if not paths:
        raise FileNotFoundError(
            f"{output}: no shards such as {Shard(0, 1).path(output).name}; make them with "
            "clipnav extract-features --shard"
        )
    stores = [FeatureStore.from_file(path) for path in paths]
    metadata = common_metadata(stores)
    keys = [key for store in stores for key in store.keys]
    with exclusive_lock(output):
        if output.exists() and not is_finished(output, keys, metadata):
            raise FileExistsError(other_store(output))
        FeatureStore.write(output, (row for store in stores for row in store.views), keys, metadata)


def other_store(path: Path) -> str:
    """Return the message for a store of other viewpoints or settings at the path of a new one."""
    return (
        f"{path}: already exists, with other viewpoints or settings; name another file, or delete "
        "it"
    )


def shard_paths(output: Path) -> list[Path]:
    """Return the paths of all shards of a store in order; an empty list if there are none."""
    pattern = re.compile(re.escape(output.stem) + r"-(\d{5})-of-(\d{5})" + re.escape(output.suffix))
    names = (path.name for path in output.parent.glob("*"))
    counts = {int(match[2]) for name in names if (match := pattern.fullmatch(name))}
    if len(counts) > 1:
        raise UserError(
            f"{output}: the folder contains shards of {sorted(counts)} parts; delete the old ones"
        )
    if not counts:
        return []
    count = counts.pop()
    paths = [Shard(index, count).path(output) for index in range(count)]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: this shard is missing or not finished; encode it")
    return paths
