"""Stairs as ramps: two flights that rise evenly and the landing between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
