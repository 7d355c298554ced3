"""Graph of the cells of a floor: steps to 32 neighbours that cross free cells only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import gcd

import numpy as np
from scipy import ndimage, sparse

from clipnav.envs.continuous.floor.grid import FloorGrid
from clipnav.envs.continuous.floor.sight import straight_length

_LONGEST = 3  # cells of a step along one axis
# Half of the steps; the others are their opposites.
STEPS = tuple(
    (a, b)
    for a, b in product(range(_LONGEST + 1), range(-_LONGEST, _LONGEST + 1))
    if gcd(a, abs(b)) == 1 and (a > 0 or b > 0)
)


@dataclass(frozen=True, eq=False)
class CellGraph:
    """Free cells of a floor and the steps between them.

    Attributes:
        nodes: (S, X, Y) int32 node of each cell, -1 if it is blocked. Cells on stairs have the
            same node in both of their layers.
        positions: (N, 3) centres of the nodes in metres.
        layers: (N,) a layer of each node.
        lengths: (N, N) sparse lengths of the steps in metres.
    """

    nodes: np.ndarray
    positions: np.ndarray
    layers: np.ndarray
    lengths: sparse.csr_array

    def kept_cells(self, kept: np.ndarray) -> np.ndarray:
        """Return the cells (S, X, Y) bool of the nodes that a mask (N,) bool selects."""
        return (self.nodes >= 0) & kept[self.nodes]

    @cached_property
    def nearest(self) -> np.ndarray:
        """Node (S, X, Y) int32 nearest to each cell, in the same layer."""
        return np.stack([_nearest(layer) for layer in self.nodes])


def cell_graph(grid: FloorGrid) -> CellGraph:
    """Build the graph of the cells of a floor."""
    free = grid.at_centres() >= 0
    nodes = np.full(free.shape, -1, np.int32)
    layer, i, j = np.nonzero(free)
    points = grid.centres(i, j)
    key = np.ravel_multi_index((layer, i, j), free.shape)
    on_stairs = grid.on_stairs(points, layer)
    for ramp in grid.ramps:  # cells of the upper layer take the node of the lower one
        upper = on_stairs & ramp.contains(points) & (layer == ramp.stairs.storey + 1)
        lower = np.ravel_multi_index((layer[upper] - 1, i[upper], j[upper]), free.shape)
        key[upper] = np.where(free.reshape(-1)[lower], lower, key[upper])
    _, first, node = np.unique(key, return_index=True, return_inverse=True)
    nodes[layer, i, j] = node
    heights = grid.height(points[first], layer[first])
    positions = np.concatenate([points[first], heights[:, None]], axis=1)
    size = len(positions)
    lengths = sparse.csr_array((size, size))
    for plane in nodes:
        lengths = lengths.maximum(_steps(grid, plane, positions))
    return CellGraph(nodes, positions, layer[first], sparse.csr_array(lengths))


def _steps(grid: FloorGrid, nodes: np.ndarray, positions: np.ndarray) -> sparse.csr_array:
    """Return the lengths (N, N) of the steps in one layer of nodes (X, Y)."""
    starts, ends = [], []
    for a, b in STEPS:
        open_way = nodes >= 0
        for di, dj in [*_crossed(a, b), (a, b)]:
            # The margin of the grid is blocked, so that nothing wraps around.
            open_way = open_way & (np.roll(nodes, (-di, -dj), axis=(0, 1)) >= 0)
        starts.append(nodes[open_way])
        ends.append(np.roll(nodes, (-a, -b), axis=(0, 1))[open_way])
    start, end = np.concatenate(starts), np.concatenate(ends)
    length = straight_length(grid, positions[start], positions[end])
    both = (np.concatenate([start, end]), np.concatenate([end, start]))
    size = len(positions)
    return sparse.csr_array((np.concatenate([length, length]), both), (size, size))


def _nearest(nodes: np.ndarray) -> np.ndarray:
    """Return the nearest node (X, Y) of each cell."""
    cells = ndimage.distance_transform_edt(nodes < 0, return_distances=False, return_indices=True)
    return nodes[tuple(np.asarray(cells))]


def _crossed(a: int, b: int) -> list[tuple[int, int]]:
    """Return the cells between a cell and its neighbour (a, b) whose inside a step crosses."""
    share = (np.arange(400) + 0.5) / 400
    cells = {(int(i), int(j)) for i, j in np.rint(share[:, None] * (a, b))}
    return sorted(cells - {(0, 0), (a, b)})
