"""The floor on which the agents of a continuous environment move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from clipnav.envs.continuous.floor.geodesics import CellGraph, Geodesics, cell_graph, reach
from clipnav.envs.continuous.floor.grid import (
    CELL,
    SAMPLES_PER_CELL,
    SPACING,
    TOLERANCE,
    FloorGrid,
    Ramp,
    grid_of_masks,
)
from clipnav.envs.houses.graph.clearance import clearance_map
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clipnav.envs.houses.building.house import House

SAMPLE_SPACING = 0.0125  # metres between the tested points of a movement
_CORRECTIONS = 6  # at most, towards the border, of an end that is not on the floor
_MIDDLE_DEPTH = 0.02  # metres that the middle of a slide may lie outside the border
_COLLISION_SLACK = 1e-5  # square metres; as in habitat's `collided`


def move(
    grid: FloorGrid, positions: np.ndarray, wanted: np.ndarray, sliding: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Move agents towards places in a straight line, as far as the floor permits.

    An agent whose way is blocked stops at the border. With sliding it moves to the point of the
    floor that is nearest to the place, as habitat's navigation mesh does.

    Args:
        positions: (N, 3) positions on the floor.
        wanted: (N, 2) places on the plan.

    Returns:
        Positions (N, 3) on the floor, and whether each agent moved less than it should (N,) bool:
        moved^2 + 1e-5 < wanted^2.
    """
    start, layers = positions[:, :2], grid.layers(positions[:, 2])
    length = np.linalg.norm(wanted - start, axis=1)
    # The rounding errors of the lengths must not matter: all agents of a batch share the number.
    count = max(int(length.max(initial=0.0) / SAMPLE_SPACING + 1e-6) + 1, 2)
    share = np.arange(1, count + 1) / count
    ways = start[:, None] + share[:, None] * (wanted - start)[:, None]  # (N, K, 2)
    values = grid.at(ways, layers[:, None])
    blocked = values < -TOLERANCE
    is_blocked = blocked.any(axis=1)
    end = wanted.copy()
    rows = np.flatnonzero(is_blocked)
    if len(rows):
        first = blocked[rows].argmax(axis=1)
        stop = _border(grid, start[rows], ways[rows], values[rows], layers[rows], first)
        if sliding:
            stop = _slide(grid, start[rows], wanted[rows], stop, layers[rows])
        end[rows] = stop
    result = np.concatenate([end, grid.height(end, layers)[:, None]], axis=1)
    moved = ((result - positions) ** 2).sum(axis=1)
    return result, is_blocked & (moved + _COLLISION_SLACK < length**2)


def _border(
    grid: FloorGrid,
    start: np.ndarray,
    ways: np.ndarray,
    values: np.ndarray,
    layers: np.ndarray,
    first: np.ndarray,
) -> np.ndarray:
    """Return the points (N, 2) where ways (N, K, 2) leave the floor before sample `first` (N,)."""
    rows = np.arange(len(first))
    is_start = first == 0
    before = np.maximum(first - 1, 0)
    inner = np.where(is_start[:, None], start, ways[rows, before])
    inner_value = np.where(is_start, grid.at(start, layers), values[rows, before])
    inner_value = np.maximum(inner_value, 0.0)
    outer, outer_value = ways[rows, first], values[rows, first]
    share = inner_value / (inner_value - outer_value)
    point = inner + share[:, None] * (outer - inner)
    return np.where((grid.at(point, layers) >= -TOLERANCE)[:, None], point, inner)


def nearest_border(
    grid: FloorGrid, points: np.ndarray, layers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move points (N, 2) outside the floor down the signed distance to the border.

    Returns:
        The points (N, 2), and which of them reached the floor (N,) bool.
    """
    end = points.copy()
    for _ in range(_CORRECTIONS):
        value, gradient = grid.at_with_gradient(end, layers)
        norm = np.linalg.norm(gradient, axis=1)
        outside = (value < 0) & (norm > 1e-3)
        if not outside.any():
            break
        step = np.where(outside, -value, 0.0) / np.maximum(norm, 1e-3)
        end += step[:, None] * gradient
    return end, grid.at(end, layers) >= -TOLERANCE


def _slide(
    grid: FloorGrid, start: np.ndarray, wanted: np.ndarray, stop: np.ndarray, layers: np.ndarray
) -> np.ndarray:
    """Return the points (N, 2) of the border nearest to `wanted`, or `stop` behind an obstacle."""
    end, on_floor = nearest_border(grid, wanted, layers)
    reached = on_floor & (grid.at((start + end) / 2, layers) > -_MIDDLE_DEPTH)
    return np.where(reached[:, None], end, stop)


Box = tuple[float, float, float, float]


def grid_of_house(house: House, radius: float) -> FloorGrid:
    """Build the floor of a house from its clearance maps and stairs."""
    tracer = RayTracer(house.scene)
    plan, ramps = house.plan, tuple(map(Ramp, house.plan.stairs))
    if len(ramps) > 1:
        raise UserError(f"{house.spec.scan}: a floor has at most two storeys")
    masks, heights = [], []
    for storey in range(plan.storeys):
        clearance = clearance_map(house, tracer, storey)
        mask = clearance.clearance > 0
        for ramp in ramps:
            if ramp.joins(storey):
                mask = ramp.free(clearance.centres(), mask, storey)
        masks.append(mask)
        heights.append(clearance.floor)
    return grid_of_masks(masks, np.zeros(2), heights, radius, ramps)


def grid_of_boxes(
    rooms: Sequence[Box], holes: Sequence[Box], height: float, radius: float
) -> FloorGrid:
    """Build a floor of one storey that consists of rectangles without some others.

    Args:
        rooms: Rectangles (x0, y0, x1, y1) in metres, best at multiples of `CELL`.
        height: Height of the floor in metres.
        radius: Radius of the agent in metres.
    """
    corners = np.asarray(rooms, float)
    lower = CELL * np.floor(corners[:, :2].min(axis=0) / CELL + 1e-6)
    shape = np.ceil((corners[:, 2:].max(axis=0) - lower) / CELL - 1e-6).astype(int)
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    centres = lower + CELL * (indices + 0.5)
    free = np.zeros(tuple(shape), bool)
    for boxes, value in ((rooms, True), (holes, False)):
        for x0, y0, x1, y1 in boxes:
            inside = (centres >= (x0, y0)) & (centres <= (x1, y1))
            free[inside.all(axis=-1)] = value
    return grid_of_masks([free], lower, [height], radius)


def largest_piece(grid: FloorGrid, graph: CellGraph) -> tuple[FloorGrid, CellGraph]:
    """Return a floor and its graph without the pieces that are not joined to the largest one.

    Gaps between obstacles that are too narrow for a cell are blocked, too.
    """
    if not len(graph.positions):
        raise UserError("the floor has no room for the agent; choose a smaller agent_radius")
    _, labels = connected_components(graph.lengths, directed=False)
    kept = labels == np.bincount(labels).argmax()
    near = [ndimage.binary_dilation(layer, np.ones((3, 3))) for layer in graph.kept_cells(kept)]
    near = np.stack(near).repeat(SAMPLES_PER_CELL, axis=1).repeat(SAMPLES_PER_CELL, axis=2)
    distance = np.where(near, grid.distance, np.minimum(grid.distance, -SPACING / 2))
    grid = replace(grid, distance=distance)
    return grid, graph if kept.all() else cell_graph(grid)


RADIUS = 0.1  # metres, of habitat's default agent


class ContinuousFloor:
    """Walkable floor of a house for round agents, with movement and geodesic distances.

    Positions are float64 (N, 3) in metres in the axes of the navigation graphs, z up: the point
    under an agent's feet. Headings are radians clockwise from +y.
    """

    def __init__(self, grid: FloorGrid, graph: CellGraph):
        self.grid, self.graph = grid, graph
        self._geodesics = Geodesics(grid, graph)

    @classmethod
    def of_house(cls, house: House, radius: float = RADIUS) -> ContinuousFloor:
        """Build the floor of a house: of its separate pieces, only the largest one counts.

        Args:
            radius: Radius of the agent in metres.
        """
        grid = grid_of_house(house, radius)
        return cls(*largest_piece(grid, cell_graph(grid)))

    @classmethod
    def of_boxes(
        cls,
        rooms: Sequence[Box],
        holes: Sequence[Box] = (),
        height: float = 0.0,
        radius: float = 0.0,
    ) -> ContinuousFloor:
        """Build the floor of rooms (x0, y0, x1, y1) without holes; all pieces count."""
        grid = grid_of_boxes(rooms, holes, height, radius)
        return cls(grid, cell_graph(grid))

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """Return which positions (N, 3) are on the floor; their heights only choose a storey."""
        return self._signed(positions) >= -TOLERANCE

    def clearance(self, positions: np.ndarray) -> np.ndarray:
        """Return the distance (N,) in metres of positions (N, 3) to the border of the floor.

        The border is where an agent touches an obstacle. Positions beyond it have clearance 0.
        """
        return np.maximum(self._signed(positions), 0.0)

    def project(self, positions: np.ndarray) -> np.ndarray:
        """Return the points (N, 3) of the floor near positions (N, 3), with the floor's height.

        Positions on the floor keep x and y; others move to the border.
        """
        positions = np.asarray(positions, float)
        layers, points = self.grid.layers(positions[:, 2]), positions[:, :2].copy()
        off = np.flatnonzero(self.grid.at(points, layers) < -TOLERANCE)
        if len(off):
            border, reached = nearest_border(self.grid, points[off], layers[off])
            i, j = self.grid.cells(points[off])
            inside = self.graph.positions[self.graph.nearest[layers[off], i, j], :2]
            fallback = self._border(points[off], inside, layers[off])
            points[off] = np.where(reached[:, None], border, fallback)
        return np.concatenate([points, self.grid.height(points, layers)[:, None]], axis=1)

    def step(
        self, positions: np.ndarray, headings: np.ndarray, distance: float, sliding: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move agents forward.

        Args:
            positions: (N, 3) positions; those that are not on the floor are projected first.
            headings: (N,) headings in radians.
            distance: Length of the step in metres.

        Returns:
            New positions (N, 3), and which agents collided (N,) bool: they moved less than
            `distance`.
        """
        positions = np.asarray(positions, float)
        headings = np.asarray(headings, float)
        if not self.contains(positions).all():
            positions = self.project(positions)
        way = distance * np.stack([np.sin(headings), np.cos(headings)], axis=1)
        return move(self.grid, positions, positions[:, :2] + way, sliding)

    def straight_walks(self, position: np.ndarray, headings: np.ndarray) -> np.ndarray:
        """Return how far (N,) in metres an agent can walk straight from a position (3,).

        Args:
            headings: (N,) headings in radians.
        """
        position = np.asarray(position, float)
        layer = int(self.grid.layers(position[2:])[0])
        return reach(self.grid, position[:2], layer, np.pi / 2 - np.asarray(headings, float))

    def distances(self, positions: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the geodesic distances (N,) in metres to goals, inf where there is no way.

        Args:
            positions: (N, 3) positions on the floor.
            goal: (3,) goal or (N, 3) goals; projected to the floor.
        """
        goals = np.atleast_2d(np.asarray(goal, float))
        if not self.contains(goals).all():
            goals = self.project(goals)
        positions = np.asarray(positions, float)
        return self._geodesics.distances(positions, np.broadcast_to(goals, positions.shape))

    def shortest_path(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the corners (M, 3) of the shortest walk between points (3,), both included.

        The result has no rows if there is no way.
        """
        ends = self.project(np.array([start, goal], float))
        return self._geodesics.path(ends[0], ends[1])

    def _signed(self, positions: np.ndarray) -> np.ndarray:
        positions = np.asarray(positions, float)
        return self.grid.at(positions[:, :2], self.grid.layers(positions[:, 2]))

    def _border(self, outside: np.ndarray, inside: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Return points (N, 2) of the floor between points (N, 2) outside and inside it."""
        low, high = np.zeros(len(outside)), np.ones(len(outside))
        for _ in range(30):
            middle = (low + high) / 2
            points = outside + middle[:, None] * (inside - outside)
            free = self.grid.at(points, layers) >= 0
            low, high = np.where(free, low, middle), np.where(free, middle, high)
        return outside + high[:, None] * (inside - outside)
