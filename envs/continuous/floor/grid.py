"""Signed-distance grid of the walkable floor of a house, one layer per storey.

A layer contains a storey and the stairs that join it to its neighbours. Stairs are therefore part
of two layers: the layer of the lower storey is open at the foot of the stairs and closed at their
head, and the layer of the upper storey is the reverse. Nothing in a layer lies above anything else,
so that a movement of an agent stays within one layer, and its height follows from its layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage

from clipnav.envs.continuous.floor.navmesh import NavMesh
from clipnav.envs.houses.plan.elements import STOREY_HEIGHT, WALL_HALF_THICKNESS, Stairs

CELL = 0.05  # metres
SAMPLES_PER_CELL = 3  # signed distances along each side of a cell
SPACING = CELL / SAMPLES_PER_CELL  # metres between signed distances
MARGIN = 8  # blocked cells around a layer, more than a step of an agent
_SAME_FLOOR = 1.0  # metres between a polygon and the floor or the stairs that it belongs to
TOLERANCE = 1e-6  # metres by which a point may lie outside the border and count as on the floor


@dataclass(frozen=True)
class Ramp:
    """Floor of stairs, in the frame of the stairwell; see `Stairs`."""

    stairs: Stairs

    def joins(self, storeys: np.ndarray | int) -> np.ndarray:
        """Return whether the stairs are part of the layers of storeys (N,)."""
        steps = np.asarray(storeys) - self.stairs.storey
        return (steps == 0) | (steps == 1)

    def frame(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates across and along the flights of points (..., 2) in metres."""
        (fx, fy), (x, y) = self.stairs.forward, self.stairs.front
        dx, dy = points[..., 0] - x, points[..., 1] - y
        return dx * fy - dy * fx, dx * fx + dy * fy

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return which points (..., 2) lie behind the front of the stairwell, between its walls."""
        across, along = self.frame(points)
        return (
            (np.abs(across) <= self.stairs.width / 2) & (along > 0) & (along <= self.stairs.depth)
        )

    def progress(self, points: np.ndarray) -> np.ndarray:
        """Return the coordinate along the flights of points (..., 2), limited to the flights."""
        return np.clip(self.frame(points)[1], 0.0, self.stairs.landing_start)

    def breaks(self, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
        """Return the points (2,) where a straight walk meets the front or the landing, in order."""
        (low, high), way = self.frame(np.stack([start, end]))[1], end - start
        limits = [limit for limit in (0.0, self.stairs.landing_start) if abs(high - low) > 1e-9]
        shares = sorted((limit - low) / (high - low) for limit in limits)
        return [start + share * way for share in shares if 1e-9 < share < 1 - 1e-9]

    def height(self, points: np.ndarray) -> np.ndarray:
        """Return the height (...) in metres at points (..., 2) inside the stairwell."""
        across, along = self.frame(points)
        half = STOREY_HEIGHT / 2
        rise = half * np.clip(along / self.stairs.landing_start, 0.0, 1.0)
        is_first = across * self.stairs.first_side >= 0
        floor = self.stairs.storey * STOREY_HEIGHT
        return floor + np.where(is_first, rise, STOREY_HEIGHT - rise)

    def closed(self, points: np.ndarray, storey: int) -> np.ndarray:
        """Return which points (..., 2) of a storey's layer bar the flight that leads elsewhere."""
        across, along = self.frame(points)
        side = self.stairs.first_side * (1 if storey == self.stairs.storey else -1)
        return (along > 0) & (along <= WALL_HALF_THICKNESS) & (across * side <= 0)


@dataclass(frozen=True, eq=False)
class FloorGrid:
    """Walkable floor for the centre of an agent, as signed distances to its border.

    Attributes:
        distance: (S, X, Y) metres to the border, negative where an agent cannot stand, at points
            `SPACING` metres apart.
        origin: (2,) position in metres of the grid's corner, half a `SPACING` from its first point.
        owner: (S, X, Y) int polygon of the mesh at each point, or the one nearest to it.
        heights: (S,) height in metres of each storey's floor, ascending.
        ramps: Stairs between storeys.
    """

    distance: np.ndarray
    owner: np.ndarray
    origin: np.ndarray
    heights: np.ndarray
    ramps: tuple[Ramp, ...] = ()

    def layers(self, z: np.ndarray) -> np.ndarray:
        """Return the layer (N,) int of heights (N,) in metres."""
        if len(self.heights) == 1:
            return np.zeros(np.shape(z), int)
        return np.searchsorted((self.heights[1:] + self.heights[:-1]) / 2, z)

    def height(self, points: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Return the height (N,) in metres of the floor at points (N, 2) of layers (N,)."""
        z = self.heights[layers]
        for ramp in self.ramps:
            inside = ramp.contains(points) & ramp.joins(layers)
            if inside.any():
                z[inside] = ramp.height(points[inside])
        return z

    def on_stairs(self, points: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Return a mask (N,) bool of the points (N, 2) of layers (N,) that lie on stairs."""
        inside = np.zeros(len(points), bool)
        for ramp in self.ramps:
            inside |= ramp.contains(points) & ramp.joins(layers)
        return inside

    def cells(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices of the cells that contain points (..., 2) in metres."""
        cells = np.floor((points - self.origin) / CELL).astype(int)
        _, width, depth = self.distance.shape
        width, depth = width // SAMPLES_PER_CELL, depth // SAMPLES_PER_CELL
        return np.clip(cells[..., 0], 1, width - 2), np.clip(cells[..., 1], 1, depth - 2)

    def at_centres(self) -> np.ndarray:
        """Return the signed distance (S, X, Y) in metres at the centres of the cells."""
        middle = slice(SAMPLES_PER_CELL // 2, None, SAMPLES_PER_CELL)
        return self.distance[:, middle, middle]

    def centres(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return the centres (..., 2) in metres of the cells of indices i and j."""
        return self.origin + CELL * (np.stack([i, j], axis=-1) + 0.5)

    def owners(self, points: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Return the polygons (N,) of the mesh at or near points (N, 2) of layers (N,)."""
        indices = np.floor((points - self.origin) / SPACING).astype(int)
        i, j = np.clip(indices, 0, np.array(self.owner.shape[1:]) - 1).T
        return self.owner[layers, i, j]

    def at(self, points: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Return the signed distance (...) in metres at points (..., 2) of layers (...)."""
        _, width, depth = self.distance.shape
        x = np.clip((points[..., 0] - self.origin[0]) / SPACING - 0.5, 0, width - 1.001)
        y = np.clip((points[..., 1] - self.origin[1]) / SPACING - 0.5, 0, depth - 1.001)
        i, j = x.astype(int), y.astype(int)
        flat, corner = self.distance.reshape(-1), (layers * width + i) * depth + j
        u, v = x - i, y - j
        low = flat[corner] * (1 - v) + flat[corner + 1] * v
        high = flat[corner + depth] * (1 - v) + flat[corner + depth + 1] * v
        return low * (1 - u) + high * u


def grid_of_mesh(
    mesh: NavMesh, heights: Sequence[float], ramps: tuple[Ramp, ...] = ()
) -> FloorGrid:
    """Sample a mesh, whose polygons belong to the storey or the stairs at their height.

    Args:
        heights: Height of each storey's floor in metres, ascending.
    """
    lower = CELL * np.floor(mesh.corners[:, :2].min(axis=0) / CELL + 1e-6) - MARGIN * CELL
    extent = (mesh.corners[:, :2].max(axis=0) - lower) / CELL
    size = SAMPLES_PER_CELL * (np.ceil(extent - 1e-6).astype(int) + MARGIN)
    shape = (len(heights), *size.tolist())
    owner = np.full(shape, -1, np.int32)
    empty = FloorGrid(np.zeros(shape), owner, lower, np.asarray(heights, float), ramps)
    for number, polygon in enumerate(mesh.polygons):
        corners = mesh.corners[list(polygon)]
        first = np.floor((corners[:, :2].min(axis=0) - lower) / SPACING).astype(int)
        last = np.ceil((corners[:, :2].max(axis=0) - lower) / SPACING).astype(int)
        axes = (np.arange(a, b) for a, b in zip(first, last, strict=True))
        i, j = (index.ravel() for index in np.meshgrid(*axes, indexing="ij"))
        points = lower + SPACING * (np.stack([i, j], axis=1) + 0.5)
        edges = np.roll(corners[:, :2], -1, axis=0) - corners[:, :2]
        offsets = points[:, None] - corners[:, :2]
        left = edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0]
        inside = np.all(left >= -1e-9, axis=1)
        i, j, points = i[inside], j[inside], points[inside]
        z = mesh.height(number, points)
        for storey in range(len(heights)):
            layers = np.full(len(points), storey)
            kept = np.abs(z - empty.height(points, layers)) < _SAME_FLOOR
            for ramp in ramps:
                kept &= ~(ramp.contains(points) & ramp.closed(points, storey))
            owner[storey, i[kept], j[kept]] = number
    layers = [_sampled(layer) for layer in owner]
    distance, nearest = (np.stack(values) for values in zip(*layers, strict=True))
    return replace(empty, distance=distance, owner=nearest)


def _sampled(owner: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return signed distances (X, Y) in metres to the border, and the nearest polygons (X, Y)."""
    free = owner >= 0
    inside = SPACING * (np.asarray(ndimage.distance_transform_edt(free)) - 0.5)
    outside = SPACING * (np.asarray(ndimage.distance_transform_edt(~free)) - 0.5)
    cells = ndimage.distance_transform_edt(~free, return_distances=False, return_indices=True)
    return np.where(free, inside, -outside), owner[tuple(np.asarray(cells))]
