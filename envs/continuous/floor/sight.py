"""Straight walks on a floor: which points are reached, and how long the walk is."""

from __future__ import annotations

import numpy as np

from clipnav.envs.continuous.floor.grid import CELL, TOLERANCE, FloorGrid

RAYS = 2048  # directions in which the reach of a goal is measured
_SHORTEST_ADVANCE = CELL / 4  # metres between the points of a ray that are tested at least
_CAUTION = CELL  # metres of a signed distance that a ray does not rely on
_SLACK = 0.01  # metres behind the reach of a ray; the border itself is on the floor


def straight_length(grid: FloorGrid, start: np.ndarray, end: np.ndarray) -> np.ndarray:
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
        angles: (K,) directions in radians, counter-clockwise from +x; None for 2 pi k / RAYS.
    """
    if angles is None:
        angles = 2 * np.pi * np.arange(RAYS) / RAYS
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
        table: (K, RAYS) results of `reach`.
        rows: (N,) row of the table for the goal of each point.
        offsets: (N, 2) points relative to their goals in metres.
    """
    ray = np.arctan2(offsets[:, 1], offsets[:, 0]) * (RAYS / (2 * np.pi))
    low = np.floor(ray).astype(int)
    nearest = np.minimum(table[rows, low % RAYS], table[rows, (low + 1) % RAYS])
    return np.hypot(offsets[:, 0], offsets[:, 1]) <= nearest + _SLACK
