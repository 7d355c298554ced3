"""Movement of agents on a floor, with and without sliding along its border."""

from __future__ import annotations

import numpy as np

from clipnav.envs.continuous.floor.grid import TOLERANCE, FloorGrid

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
