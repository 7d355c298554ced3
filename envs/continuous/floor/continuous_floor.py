"""The floor on which the agents of a continuous environment move."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from clipnav.envs.continuous.floor.geodesics import CellGraph, Geodesics, cell_graph, reach
from clipnav.envs.continuous.floor.grid import (
    SAMPLES_PER_CELL,
    SPACING,
    TOLERANCE,
    FloorGrid,
    Ramp,
    grid_of_mesh,
)
from clipnav.envs.continuous.floor.navmesh import Box, NavMesh, mesh_of_boxes, mesh_of_triangles
from clipnav.envs.continuous.floor.polygons import MOST_CORNERS
from clipnav.envs.continuous.floor.voxels import MeshSettings
from clipnav.envs.houses.plan.elements import STOREY_HEIGHT
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House

_SAMPLE_SPACING = 0.0125  # metres between the tested points of a movement
_SURE = 0.02  # metres of a sampled distance to the border that leave no doubt
_NO_ROOM = "the floor has no room for the agent; choose a smaller agent_radius"
_MOST_FOUND = 4096  # positions whose polygon is kept
_MESH_VERSION = 1  # of the files in the cache
_COLLISION_SLACK = 1e-5  # square metres; as in habitat's `collided`
RADIUS, HEIGHT = 0.1, 1.5  # metres, of habitat's default agent


def largest_piece(grid: FloorGrid, graph: CellGraph) -> tuple[FloorGrid, CellGraph]:
    """Return a floor and its graph without the pieces that are not joined to the largest one.

    Gaps between obstacles that are too narrow for a cell are blocked, too.
    """
    if not len(graph.positions):
        raise UserError(_NO_ROOM)
    _, labels = connected_components(graph.lengths, directed=False)
    kept = labels == np.bincount(labels).argmax()
    near = [ndimage.binary_dilation(layer, np.ones((3, 3))) for layer in graph.kept_cells(kept)]
    near = np.stack(near).repeat(SAMPLES_PER_CELL, axis=1).repeat(SAMPLES_PER_CELL, axis=2)
    distance = np.where(near, grid.distance, np.minimum(grid.distance, -SPACING / 2))
    grid = replace(grid, distance=distance)
    return grid, graph if kept.all() else cell_graph(grid)


class ContinuousFloor:
    """Walkable floor of a house for round agents, with movement and geodesic distances.

    Positions are float64 (N, 3) in metres in the axes of the navigation graphs, z up: the point
    under an agent's feet. Headings are radians clockwise from +y.
    """

    def __init__(
        self, mesh: NavMesh, grid: FloorGrid, graph: CellGraph, others: NavMesh | None = None
    ):
        """Join the forms of a floor.

        Args:
            mesh: Floor that agents can reach; they move on it.
            grid: Samples of the mesh, for distances.
            graph: Cells of the grid.
            others: Floor that is not joined to it. An agent that walks towards it stays.
        """
        self.mesh, self.grid, self.graph = mesh, grid, graph
        self._others = others or NavMesh(mesh.corners, [])
        self._geodesics = Geodesics(grid, graph)
        self._found: dict[tuple[int, float, float], tuple[int, float]] = {}

    @classmethod
    def of_house(
        cls, house: House, radius: float = RADIUS, height: float = HEIGHT, cache: Path | None = None
    ) -> ContinuousFloor:
        """Build the floor of a house: of its separate pieces, agents reach only the largest one.

        Args:
            radius: Radius of the agent in metres.
            height: Height of the agent in metres.
            cache: Folder that keeps the navigation mesh, which takes about 6 CPU seconds.
        """
        plan, ramps = house.plan, tuple(map(Ramp, house.plan.stairs))
        if len(ramps) > 1:
            raise UserError(f"{house.spec.scan}: a floor has at most two storeys")
        mesh = _mesh_of_house(house, MeshSettings(radius=radius, height=height), cache)
        if not len(mesh.polygons):
            raise UserError(_NO_ROOM)
        mesh, others = mesh.parts()
        grid = grid_of_mesh(mesh, [k * STOREY_HEIGHT for k in range(plan.storeys)], ramps)
        return cls(mesh, *largest_piece(grid, cell_graph(grid)), others)

    @classmethod
    def of_boxes(
        cls,
        rooms: Sequence[Box],
        holes: Sequence[Box] = (),
        height: float = 0.0,
        radius: float = 0.0,
    ) -> ContinuousFloor:
        """Build the floor of rooms (x0, y0, x1, y1) without holes; all pieces count."""
        mesh = mesh_of_boxes(rooms, holes, height, radius)
        grid = grid_of_mesh(mesh, [height])
        return cls(mesh, grid, cell_graph(grid))

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """Return which positions (N, 3) are on the floor; their heights only choose a storey."""
        positions = np.asarray(positions, float)
        layers, points = self.grid.layers(positions[:, 2]), positions[:, :2]
        value = self.grid.at(points, layers)
        result = value > _SURE
        doubtful = np.flatnonzero(np.abs(value) <= _SURE)
        result[doubtful] = self._polygons(points[doubtful], layers[doubtful])[1] <= TOLERANCE
        return result

    def clearance(self, positions: np.ndarray) -> np.ndarray:
        """Return the distance (N,) in metres of positions (N, 3) to the border of the floor.

        The border is where an agent touches an obstacle. Positions beyond it have clearance 0.
        Distances are sampled, so that they are off by up to a centimetre.
        """
        positions = np.asarray(positions, float)
        value = self.grid.at(positions[:, :2], self.grid.layers(positions[:, 2]))
        return np.maximum(value, 0.0)

    def project(self, positions: np.ndarray) -> np.ndarray:
        """Return the points (N, 3) of the floor near positions (N, 3), with the floor's height.

        Positions on the floor keep x and y; others move to the border.
        """
        positions = np.asarray(positions, float)
        layers, points = self.grid.layers(positions[:, 2]), positions[:, :2].copy()
        for k in np.flatnonzero(~self.contains(positions)).tolist():
            starts, ends = self._walls[int(layers[k])]
            ways = ends - starts
            share = ((points[k] - starts) * ways).sum(axis=1) / (ways**2).sum(axis=1)
            nearest = starts + np.clip(share, 0, 1)[:, None] * ways
            points[k] = nearest[((nearest - points[k]) ** 2).sum(axis=1).argmin()]
        return np.concatenate([points, self.grid.height(points, layers)[:, None]], axis=1)

    def step(
        self,
        positions: np.ndarray,
        headings: np.ndarray,
        distance: float | np.ndarray,
        sliding: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move agents forward as habitat-sim does on its navigation mesh.

        Args:
            positions: (N, 3) positions; those that are not on the floor are projected first.
            headings: (N,) headings in radians.
            distance: Length of the step in metres, or (N,) lengths.
            sliding: Whether an agent slides along walls; otherwise it stops at the first one.

        Returns:
            New positions (N, 3), and which agents collided (N,) bool: moved^2 + 1e-5 < distance^2.
        """
        positions = np.asarray(positions, float)
        headings, distance = np.asarray(headings, float), np.asarray(distance, float)
        is_on = self.contains(positions)
        if not is_on.all():
            positions = np.where(is_on[:, None], positions, self.project(positions))
        start, layers = positions[:, :2], self.grid.layers(positions[:, 2])
        way = distance[..., None] * np.stack([np.sin(headings), np.cos(headings)], axis=1)
        end = start + way
        longest = float(distance.max(initial=0.0))
        share = np.linspace(0, 1, int(longest / _SAMPLE_SPACING + 1e-6) + 2)
        samples = self.grid.at(start[:, None] + share[:, None] * way[:, None], layers[:, None])
        rows = np.flatnonzero((samples <= _SURE).any(axis=1))
        polygons, _ = self._polygons(start[rows], layers[rows])
        outside = np.maximum(-samples[rows, -1], 0.0)
        there = np.concatenate([end[rows], positions[rows, 2:]], axis=1)
        stays = self._others.attracts(there, outside)
        move = self.mesh.slide if sliding else self.mesh.go
        ways = zip(polygons.tolist(), start[rows].tolist(), end[rows].tolist(), strict=True)
        for row, stay, (polygon, before, after) in zip(rows, stays, ways, strict=True):
            end[row] = before if stay else move(polygon, tuple(before), tuple(after))
        result = np.concatenate([end, self.grid.height(end, layers)[:, None]], axis=1)
        moved = ((result - positions) ** 2).sum(axis=1)
        collided = np.zeros(len(positions), bool)
        collided[rows] = (moved + _COLLISION_SLACK < distance**2)[rows]
        return result, collided

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

    def _polygons(self, points: np.ndarray, layers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the polygons (N,) of points (N, 2) of layers (N,), and the distances to them."""
        # A step asks several times for the polygon of a position.
        if len(self._found) > _MOST_FOUND:
            self._found.clear()
        found = []
        for guess, (x, y) in zip(
            self.grid.owners(points, layers).tolist(), points.tolist(), strict=True
        ):
            key = guess, x, y
            if key not in self._found:
                self._found[key] = self.mesh.polygon_at(guess, (x, y), TOLERANCE)
            found.append(self._found[key])
        polygons, distances = zip(*found, strict=True) if found else ((), ())
        return np.array(polygons, int), np.array(distances, float)

    @cached_property
    def _walls(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Ends (E, 2) and (E, 2) of the walls of each layer."""
        walls = np.array(
            [
                (*edge[:4], self.mesh.corners[list(self.mesh.polygons[k]), 2].mean())
                for k, edges in enumerate(self.mesh.edges)
                for edge in edges
                if edge[4] < 0
            ]
        )
        layers = []
        for layer in range(len(self.grid.heights)):
            middle = (walls[:, :2] + walls[:, 2:4]) / 2
            floor = self.grid.height(middle, np.full(len(walls), layer))
            kept = walls[np.abs(walls[:, 4] - floor) < 1.0]
            layers.append((kept[:, :2], kept[:, 2:4]))
        return layers


def _mesh_of_house(house: House, settings: MeshSettings, cache: Path | None) -> NavMesh:
    """Build the mesh of a house, or read it from a folder."""
    scene, plan = house.scene, house.plan
    inner = np.array([[0.0, 0.0], [plan.width, plan.depth]])
    if cache is None:
        return mesh_of_triangles(scene.positions, scene.faces, inner, settings)
    contents = (_MESH_VERSION, settings, scene.positions.tobytes(), scene.faces.tobytes())
    digest = hashlib.sha256(repr(contents[:2]).encode() + contents[2] + contents[3]).hexdigest()
    path = cache / f"{house.spec.scan}-{digest[:16]}.mesh.npz"
    if path.is_file():
        with np.load(path) as arrays:
            polygons = [[k for k in row if k >= 0] for row in arrays["polygons"].tolist()]
            return NavMesh(arrays["corners"], polygons)
    mesh = mesh_of_triangles(scene.positions, scene.faces, inner, settings)
    padded = np.full((len(mesh.polygons), MOST_CORNERS), -1)
    for row, polygon in zip(padded, mesh.polygons, strict=True):
        row[: len(polygon)] = polygon
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside, beside.open("wb") as file:
        np.savez(file, corners=mesh.corners, polygons=padded)
    return mesh
