"""Signed-distance grid of the walkable floor of a house, one layer per storey.

A layer contains a storey and the stairs that join it to its neighbours. Stairs are therefore part
of two layers: the layer of the lower storey is open at the foot of the stairs and closed at their
head, and the layer of the upper storey is the reverse. Nothing in a layer lies above anything else,
so that a movement of an agent stays within one layer, and its height follows from its layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from clipnav.envs.houses.plan.elements import STOREY_HEIGHT, WALL_HALF_THICKNESS, Stairs

RAIL_HALF_WIDTH = 0.04  # metres of the post at the end of the rail between the flights


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

    def free(self, points: np.ndarray, free: np.ndarray, storey: int) -> np.ndarray:
        """Return the free cells of a storey's layer with its part of the stairs.

        Args:
            points: (X, Y, 2) centres of the cells in metres.
            free: (X, Y) bool free cells of the storey; those in the stairwell are ignored.
        """
        stairs, (across, along) = self.stairs, self.frame(points)
        inner = stairs.width / 2 - WALL_HALF_THICKNESS
        steps = (np.abs(across) <= inner) & (along <= stairs.depth - WALL_HALF_THICKNESS)
        steps &= (np.abs(across) > RAIL_HALF_WIDTH) | (
            along > stairs.landing_start + RAIL_HALF_WIDTH
        )
        # The front wall is open only as far as the floor in front of it.
        side = stairs.first_side * (1 if storey == stairs.storey else -1)
        before = free & (along <= 0) & (along > -WALL_HALF_THICKNESS)
        gaps = across[before & (across * side > 0)]
        low, high = (gaps.min(), gaps.max()) if len(gaps) else (np.inf, -np.inf)
        is_open = (across >= low - 1e-6) & (across <= high + 1e-6)
        steps &= (along > WALL_HALF_THICKNESS) | is_open
        return np.where(self.contains(points), steps, free)


CELL = 0.05  # metres
SAMPLES_PER_CELL = 3  # signed distances along each side of a cell, so that corners are sharp
SPACING = CELL / SAMPLES_PER_CELL  # metres between signed distances
MARGIN = 8  # blocked cells around a layer, more than a step of an agent
TOLERANCE = 1e-6  # metres by which a point may lie outside the border and count as on the floor


@dataclass(frozen=True, eq=False)
class FloorGrid:
    """Walkable floor for the centre of an agent, as signed distances to its border.

    Attributes:
        distance: (S, X, Y) metres to the border, negative where an agent cannot stand, at points
            `SPACING` metres apart.
        origin: (2,) position in metres of the grid's corner, half a `SPACING` from its first point.
        heights: (S,) height in metres of each storey's floor, ascending.
        ramps: Stairs between storeys.
    """

    distance: np.ndarray
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

    def at(self, points: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Return the signed distance (...) in metres at points (..., 2) of layers (...)."""
        flat, corner, u, v = self._corners(points, layers)
        depth = self.distance.shape[2]
        low = flat[corner] * (1 - v) + flat[corner + 1] * v
        high = flat[corner + depth] * (1 - v) + flat[corner + depth + 1] * v
        return low * (1 - u) + high * u

    def at_with_gradient(
        self, points: np.ndarray, layers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the signed distance (...) and its gradient (..., 2) at points (..., 2)."""
        flat, corner, u, v = self._corners(points, layers)
        depth = self.distance.shape[2]
        a, b = flat[corner], flat[corner + 1]
        c, d = flat[corner + depth], flat[corner + depth + 1]
        value = (a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u
        along_x = (c - a) * (1 - v) + (d - b) * v
        along_y = (b - a) * (1 - u) + (d - c) * u
        return value, np.stack([along_x, along_y], axis=-1) / SPACING

    def _corners(
        self, points: np.ndarray, layers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the flat grid and, for bilinear interpolation, first corners and weights."""
        _, width, depth = self.distance.shape
        x = np.clip((points[..., 0] - self.origin[0]) / SPACING - 0.5, 0, width - 1.001)
        y = np.clip((points[..., 1] - self.origin[1]) / SPACING - 0.5, 0, depth - 1.001)
        i, j = x.astype(int), y.astype(int)
        return self.distance.reshape(-1), (layers * width + i) * depth + j, x - i, y - j


def signed_distance(free: np.ndarray, radius: float) -> np.ndarray:
    """Return the signed distance in metres, every `SPACING`, to the border of free cells (X, Y).

    Args:
        radius: Radius in metres of the agent, which is subtracted.
    """
    free = free.repeat(SAMPLES_PER_CELL, axis=0).repeat(SAMPLES_PER_CELL, axis=1)
    inside = SPACING * (np.asarray(ndimage.distance_transform_edt(free)) - 0.5)
    outside = SPACING * (np.asarray(ndimage.distance_transform_edt(~free)) - 0.5)
    return np.where(free, inside, -outside) - radius


def grid_of_masks(
    free: Sequence[np.ndarray],
    origin: np.ndarray,
    heights: Sequence[float],
    radius: float,
    ramps: tuple[Ramp, ...] = (),
) -> FloorGrid:
    """Build the grid of storeys whose free cells (X, Y) bool begin at `origin` (2,) in metres."""
    layers = [signed_distance(np.pad(mask, MARGIN), radius) for mask in free]
    corner = np.asarray(origin, float) - MARGIN * CELL
    return FloorGrid(np.stack(layers), corner, np.asarray(heights, float), ramps)
