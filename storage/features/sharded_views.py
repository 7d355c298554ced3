"""The views of several stores as those of one."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class ShardedViews:
    """Arrays (V_i, 36, D) that are read like one array (V, 36, D).

    Rows are taken by a number, a slice or an array of numbers; each is a copy. `np.asarray` brings
    all of it into memory.

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
        wanted = np.arange(len(self))[rows]  # checks bounds, and counts negative ones from the end
        shards = np.searchsorted(self._starts, wanted, side="right") - 1
        found = np.empty((*wanted.shape, *self.shape[1:]), self.dtype)
        for shard in np.unique(shards):
            here = shards == shard
            found[here] = self.parts[shard][wanted[here] - self._starts[shard]]
        return found

    def part_of(self, row: int) -> int:
        """Which of the parts holds a row."""
        return int(np.searchsorted(self._starts, row, side="right")) - 1

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("views in several files cannot be one array without copying them")
        return np.concatenate(self.parts, dtype=dtype)

    def __iter__(self) -> Iterator[np.ndarray]:
        for part in self.parts:
            yield from part

    def __len__(self) -> int:
        return self.shape[0]
