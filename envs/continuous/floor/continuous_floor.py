"""The floor on which the agents of a continuous environment move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.continuous.floor.building import Box, grid_of_boxes, grid_of_house, largest_piece
from clipnav.envs.continuous.floor.geodesics import Geodesics
from clipnav.envs.continuous.floor.grid import TOLERANCE, FloorGrid
from clipnav.envs.continuous.floor.movement import move, nearest_border
from clipnav.envs.continuous.floor.neighbours import CellGraph, cell_graph
from clipnav.envs.continuous.floor.sight import reach

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clipnav.envs.houses.building.house import House

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
