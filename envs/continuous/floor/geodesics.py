"""Shortest walks on a floor, by Dijkstra's algorithm from the goal and a sight test.

Distances are exact where the goal is in sight. Elsewhere they are too long, by 0.24 % on average
and 1.3 % at the 95th percentile of the cases that were compared with exact polygons.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import gcd

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra

from clipnav.envs.continuous.floor.grid import CELL, TOLERANCE, FloorGrid

_RAYS = 2048  # directions in which the reach of a goal is measured
_SHORTEST_ADVANCE = CELL / 4  # metres between the points of a ray that are tested at least
_CAUTION = CELL  # metres of a signed distance that a ray does not rely on
_SLACK = 0.01  # metres behind the reach of a ray; the border itself is on the floor
_LONGEST = 3  # cells of a step along one axis
# Half of the steps; the others are their opposites.
STEPS = tuple(
    (a, b)
    for a, b in product(range(_LONGEST + 1), range(-_LONGEST, _LONGEST + 1))
    if gcd(a, abs(b)) == 1 and (a > 0 or b > 0)
)
_AROUND = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
_CAPACITY = 256  # goals whose fields are kept, of 4 bytes per cell each


def _straight_length(grid: FloorGrid, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the length (...) in metres of straight walks between points (..., 3) of the floor.

    On stairs it includes the height. The walk must stay on the floor.
    """
    plan = np.hypot(end[..., 0] - start[..., 0], end[..., 1] - start[..., 1])
    climb = np.abs(end[..., 2] - start[..., 2])
    length = plan
    for ramp in grid.ramps:
        run = np.abs(ramp.frame(end[..., :2])[1] - ramp.frame(start[..., :2])[1])
        on_ramp = np.abs(ramp.progress(end[..., :2]) - ramp.progress(start[..., :2]))
        sloped = plan * np.divide(on_ramp, run, out=np.zeros_like(plan), where=run > 1e-9)
        length = np.where(climb > 1e-9, plan - sloped + np.hypot(sloped, climb), length)
    return length


def is_straight(
    grid: FloorGrid, start: np.ndarray, end: np.ndarray, layers: np.ndarray
) -> np.ndarray:
    """Return which straight lines between points (N, 2) stay on the floor of layers (N,)."""
    length = np.linalg.norm(end - start, axis=1)
    count = max(int(np.ceil(length.max(initial=0.0) / (CELL / 2))), 1)
    share = np.arange(count + 1) / count
    points = start[:, None] + share[:, None] * (end - start)[:, None]
    return np.all(grid.at(points, layers[:, None]) >= -TOLERANCE, axis=1)


def reach(
    grid: FloorGrid, point: np.ndarray, layer: int, angles: np.ndarray | None = None
) -> np.ndarray:
    """Return how far (K,) in metres one can walk straight from a point (2,).

    Args:
        angles: (K,) directions in radians, counter-clockwise from +x; None for 2 pi k / _RAYS.
    """
    if angles is None:
        angles = 2 * np.pi * np.arange(_RAYS) / _RAYS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ends, active = np.zeros(len(angles)), np.arange(len(angles))
    travelled = np.zeros(len(angles))
    while len(active):
        points = point + travelled[:, None] * directions[active]
        value = grid.at(points, np.full(len(active), layer))
        free = value >= -TOLERANCE
        ends[active[free]] = travelled[free]
        active, travelled = active[free], travelled[free]
        travelled = travelled + np.maximum(value[free] - _CAUTION, _SHORTEST_ADVANCE)
    return ends


def reaches(table: np.ndarray, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return which points are in sight of their goals: (N,) bool.

    Args:
        table: (K, _RAYS) results of `reach`.
        rows: (N,) row of the table for the goal of each point.
        offsets: (N, 2) points relative to their goals in metres.
    """
    ray = np.arctan2(offsets[:, 1], offsets[:, 0]) * (_RAYS / (2 * np.pi))
    low = np.floor(ray).astype(int)
    nearest = np.minimum(table[rows, low % _RAYS], table[rows, (low + 1) % _RAYS])
    return np.hypot(offsets[:, 0], offsets[:, 1]) <= nearest + _SLACK


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
        layers = []
        for nodes in self.nodes:
            cells = ndimage.distance_transform_edt(
                nodes < 0, return_distances=False, return_indices=True
            )
            layers.append(nodes[tuple(np.asarray(cells))])
        return np.stack(layers)


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
    length = _straight_length(grid, positions[start], positions[end])
    both = (np.concatenate([start, end]), np.concatenate([end, start]))
    size = len(positions)
    return sparse.csr_array((np.concatenate([length, length]), both), (size, size))


def _crossed(a: int, b: int) -> list[tuple[int, int]]:
    """Return the cells between a cell and its neighbour (a, b) whose inside a step crosses."""
    share = (np.arange(400) + 0.5) / 400
    cells = {(int(i), int(j)) for i, j in np.rint(share[:, None] * (a, b))}
    return sorted(cells - {(0, 0), (a, b)})


class Geodesics:
    """Lengths of shortest walks; the fields of the last goals are cached."""

    def __init__(self, grid: FloorGrid, graph: CellGraph):
        self._grid, self._graph = grid, graph
        count = len(graph.positions)
        self._slots: OrderedDict[bytes, int] = OrderedDict()
        self._goals = np.zeros((_CAPACITY, 3))
        # One more node, the last, stands for all blocked cells.
        self._fields = np.full((1, count + 1), np.inf, np.float32)
        # A row for each slot and layer.
        self._reach = np.full((len(grid.heights), _RAYS), -1.0, np.float32)
        # The steps with one more node, the last, that has room for a step to each other.
        lengths = graph.lengths
        self._matrix = sparse.csr_array((count + 1, count + 1))
        self._matrix.indptr = np.concatenate([lengths.indptr, lengths.indptr[-1:]])
        indices = np.zeros(count, lengths.indices.dtype)
        self._matrix.indices = np.concatenate([lengths.indices, indices])
        self._matrix.data = np.concatenate([lengths.data, np.zeros(count)])

    def distances(self, positions: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Return the length (N,) of the shortest walks in metres, inf without a way.

        Args:
            positions: (N, 3) positions on the floor.
            goals: (N, 3) goals on the floor.
        """
        unique, index = np.unique(goals, axis=0, return_inverse=True)
        index = index.reshape(-1)
        result = np.empty(len(positions))
        for start in range(0, len(unique), _CAPACITY):
            part = unique[start : start + _CAPACITY]
            slots = np.array([self._slot(goal) for goal in part], int)
            rows = np.flatnonzero((index >= start) & (index < start + len(part)))
            result[rows] = self._look_up(positions[rows], slots[index[rows] - start])
        return result

    def path(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the corners (M, 3) of the shortest walk between points (3,) of the floor.

        Points where the slope changes, at both ends of a flight, are corners, too.

        The walk descends the field of the goal and is pulled tight. It is empty without a way.
        """
        slot = self._slot(goal)
        if not np.isfinite(self._look_up(start[None], np.array([slot]))[0]):
            return np.empty((0, 3))
        points = [start]
        field = self._fields[slot]
        cells, ways = self._cells_around(start[None])
        node = int(cells[0, np.argmin(field[cells[0]] + ways[0])])
        lengths = self._graph.lengths
        while not self._in_sight(points[-1][None], np.array([slot]))[0]:
            points.append(self._graph.positions[node])
            row = slice(lengths.indptr[node], lengths.indptr[node + 1])
            neighbours = lengths.indices[row]
            following = int(neighbours[np.argmin(field[neighbours] + lengths.data[row])])
            if field[following] >= field[node]:
                break  # the goal is in a corner that no centre of a cell sees
            node = following
        return self._with_breaks(self._pulled(np.array([*points, goal])))

    def _with_breaks(self, corners: np.ndarray) -> np.ndarray:
        """Return the corners (M, 3) of a walk and the points where its slope changes."""
        points = [corners[0]]
        for start, end in pairwise(corners):
            if abs(end[2] - start[2]) > 1e-9:
                for ramp in self._grid.ramps:
                    for point in ramp.breaks(start[:2], end[:2]):
                        points.append(np.array([*point, ramp.height(point)]))
            points.append(end)
        return np.array(points)

    def _pulled(self, points: np.ndarray) -> np.ndarray:
        """Return the corners (M, 3) that remain when a walk (N, 3) skips what it can."""
        kept = [0]
        layers = self._grid.layers(points[:, 2])
        while kept[-1] < len(points) - 1:
            i = kept[-1]
            later = np.arange(i + 1, len(points))
            ends, start = points[later, :2], np.broadcast_to(points[i, :2], (len(later), 2))
            straight = np.zeros(len(later), bool)
            for layer in {int(layers[i]), *map(int, layers[later])}:
                layered = np.full(len(later), layer)
                both = self._is_in(points[i : i + 1], layer) & self._is_in(points[later], layer)
                straight |= both & is_straight(self._grid, start, ends, layered)
            straight[0] = True
            kept.append(int(later[np.flatnonzero(straight)[-1]]))
        return points[kept]

    def _is_in(self, points: np.ndarray, layer: int) -> np.ndarray:
        """Return which points (N, 3) are part of a layer."""
        layers = self._grid.layers(points[:, 2])
        on_stairs = self._grid.on_stairs(points[:, :2], layers)
        for ramp in self._grid.ramps:
            on_stairs &= bool(ramp.joins(layer)) | ~ramp.contains(points[:, :2])
        return (layers == layer) | on_stairs

    def _slot(self, goal: np.ndarray) -> int:
        """Return the index of a goal's field, which is computed if it is not cached."""
        key = goal.tobytes()
        if key in self._slots:
            self._slots.move_to_end(key)
            return self._slots[key]
        if len(self._slots) == _CAPACITY:
            _, slot = self._slots.popitem(last=False)
        else:
            slot = len(self._slots)
        if slot >= len(self._fields):
            more = min(2 * len(self._fields), _CAPACITY) - len(self._fields)
            self._fields = np.concatenate([self._fields, np.repeat(self._fields[:1], more, axis=0)])
            more *= len(self._grid.heights)
            self._reach = np.concatenate([self._reach, np.repeat(self._reach[:1], more, axis=0)])
        self._fill(slot, goal)
        self._slots[key] = slot
        return slot

    def _fill(self, slot: int, goal: np.ndarray) -> None:
        """Compute the field of a goal: exact where the goal is in sight, else by steps."""
        self._goals[slot] = goal
        storeys = len(self._grid.heights)
        for layer in range(storeys):
            is_in = self._is_in(goal[None], layer)[0]
            reached = reach(self._grid, goal[:2], layer) if is_in else -1.0
            self._reach[slot * storeys + layer] = reached
        nodes = self._graph.positions
        seen = np.flatnonzero(self._in_sight(nodes, np.full(len(nodes), slot), self._graph.layers))
        if not len(seen):  # in a corner between centres
            cells, _ = self._cells_around(goal[None])
            seen = np.unique(cells[cells < len(nodes)])
        length = _straight_length(self._grid, nodes[seen], goal)
        matrix, first = self._matrix, self._matrix.indptr[-2]
        matrix.indices[first : first + len(seen)] = seen
        matrix.data[first : first + len(seen)] = np.maximum(length, 1e-9)
        matrix.indptr[-1] = end = first + len(seen)
        # A view with as many entries as the last row has, without a copy.
        view = sparse.csr_array(matrix.shape)
        view.indptr, view.indices, view.data = (
            matrix.indptr,
            matrix.indices[:end],
            matrix.data[:end],
        )
        field = dijkstra(view, indices=len(nodes), return_predecessors=False)
        self._fields[slot, :-1] = np.asarray(field)[:-1]

    def _in_sight(
        self, positions: np.ndarray, slots: np.ndarray, layers: np.ndarray | None = None
    ) -> np.ndarray:
        """Return which positions (N, 3) see their goals."""
        if layers is None:
            layers = self._grid.layers(positions[:, 2])
        offsets = positions[:, :2] - self._goals[slots, :2]
        storeys = len(self._grid.heights)
        seen = reaches(self._reach, slots * storeys + layers, offsets)
        for layer in range(storeys if self._grid.ramps else 0):
            other = np.flatnonzero((layers != layer) & self._is_in(positions, layer))
            seen[other] |= reaches(self._reach, slots[other] * storeys + layer, offsets[other])
        return seen

    def _cells_around(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes (N, 9) around positions (N, 3) and the ways (N, 9) to them.

        Blocked cells have the last node. If all are blocked, the first is the nearest free one.
        """
        layers = self._grid.layers(positions[:, 2])
        i, j = self._grid.cells(positions[:, :2])
        nodes = self._graph.nodes[
            layers[:, None], i[:, None] + _AROUND[:, 0], j[:, None] + _AROUND[:, 1]
        ]
        alone = (nodes < 0).all(axis=1)
        nodes[alone, 0] = self._graph.nearest[layers[alone], i[alone], j[alone]]
        ways = np.linalg.norm(self._graph.positions[nodes] - positions[:, None], axis=-1)
        return np.where(nodes < 0, len(self._graph.positions), nodes), ways

    def _look_up(self, positions: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the distances (N,) to the goals of slots (N,)."""
        result = _straight_length(self._grid, positions, self._goals[slots])
        hidden = np.flatnonzero(~self._in_sight(positions, slots))
        if len(hidden):
            cells, ways = self._cells_around(positions[hidden])
            result[hidden] = (self._fields[slots[hidden, None], cells] + ways).min(axis=1)
        return result
