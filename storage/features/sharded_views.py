"""Views of several stores, read as one array."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from clipnav.storage.errors import UserError


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
