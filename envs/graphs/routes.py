"""Shortest paths between the viewpoints of a building."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

SHORTEST_PATH = 5.0  # metres, as in R2R
# Share of each number of edges among the paths of a building, as in R2R.
EDGE_SHARES = {4: 0.32, 5: 0.4, 6: 0.2, 7: 0.08}
GOAL_SPREAD = 3.5  # smallest distance in metres between goals of one start; success is within 3 m


@dataclass(frozen=True, eq=False)
class Routes:
    """Shortest paths between the V viewpoints of a building.

    Attributes:
        lengths: (V, V) metres.
        before: (V, V) predecessor of `end` on the path from `start`.
    """

    lengths: np.ndarray
    before: np.ndarray

    @cached_property
    def _before(self) -> list[list[int]]:
        return self.before.tolist()  # reading single elements of arrays is slow

    @classmethod
    def of(cls, cameras: np.ndarray, edges: np.ndarray) -> Routes:
        """Compute the shortest paths between cameras (V, 2 or 3) in metres along edges (V, V)."""
        from scipy.sparse.csgraph import dijkstra

        gaps = np.linalg.norm(cameras[:, None] - cameras[None], axis=2)
        lengths, before = dijkstra(np.where(edges, gaps, 0), return_predecessors=True)
        return cls(lengths, before)

    def path(self, start: int, end: int) -> tuple[int, ...]:
        """Return the viewpoints from start to end, both included."""
        before, path = self._before[start], [end]
        while path[-1] != start:
            path.append(before[path[-1]])
        return tuple(reversed(path))

    def from_start(self, start: int) -> Iterator[tuple[int, ...]]:
        """Yield the shortest paths from a viewpoint to every other viewpoint."""
        return (self.path(start, end) for end in range(len(self.lengths)) if end != start)

    def fits_r2r(self, path: tuple[int, ...]) -> bool:
        """Return whether the length of a path is within the limits of R2R."""
        edges_fit = len(path) - 1 in EDGE_SHARES
        return edges_fit and bool(self.lengths[path[0], path[-1]] >= SHORTEST_PATH)
