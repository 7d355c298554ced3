"""Filling the holes of a depth image: the function `cbf` of the module MatterSim.

The cross bilateral filter of the NYU Depth V2 toolbox, with the three scales and widths that
MatterSim fixes for it (MatterSimPython.cpp, cbf.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_RADIUS = 5
# Widths of the filter from the full size down to a quarter: pixels, and shares of full intensity.
_SPACE = 12.0, 5.0, 8.0
_RANGE = 0.2, 0.08, 0.02


@dataclass
class _Level:
    """Images (h, w) at one scale, 0 to 1; `known` pixels have a depth that others may use."""

    depth: np.ndarray
    intensity: np.ndarray
    missing: np.ndarray
    known: np.ndarray


def cbf(depth: ArrayLike, intensity: ArrayLike, mask: ArrayLike, result: np.ndarray, /) -> None:
    """Fill the holes of a depth image from pixels near in place and in intensity.

    Holes are filled at a quarter of the size, then at half and at full size, where what was filled
    before counts as known. A hole with nothing known around it becomes 0.

    Args:
        depth: (H, W) uint8.
        intensity: (H, W) uint8, the grey picture.
        mask: (H, W), nonzero where depth is missing.
        result: (H, W) uint8, written to.

    Raises:
        ValueError: The images differ in size.
    """
    depth, intensity = np.asarray(depth), np.asarray(intensity)
    missing = np.asarray(mask) != 0
    shapes = {depth.shape, intensity.shape, missing.shape, np.shape(result)}
    if len(shapes) > 1 or depth.ndim != 2:
        raise ValueError(f"cbf(): images of one size (H, W) expected, not {sorted(shapes)}")
    full = _Level(
        (depth / 255.0).astype(np.float32),
        (intensity / 255.0).astype(np.float32),
        missing,
        ~missing,
    )
    levels = [full, _shrunk(full, 2), _shrunk(full, 4)]
    for scale in (2, 1, 0):
        _fill(levels[scale], _SPACE[scale], _RANGE[scale])
        if scale:
            _hand_down(levels[scale], levels[scale - 1])
    result[...] = np.where(missing, (full.depth * np.float32(255)).astype(np.uint8), depth)


def _shrunk(level: _Level, factor: int) -> _Level:
    height, width = level.depth.shape
    rows = _sources(height // factor, height)
    columns = _sources(width // factor, width)
    at = np.ix_(rows, columns)
    return _Level(level.depth[at], level.intensity[at], level.missing[at], level.known[at].copy())


def _sources(count: int, source_count: int) -> np.ndarray:
    """(count,) positions in a row of `source_count` pixels that stand for those of another."""
    return np.arange(count) * source_count // max(count, 1)


def _hand_down(coarse: _Level, fine: _Level) -> None:
    """Give the holes of a level what is known at the coarser one."""
    rows, columns = np.nonzero(fine.missing)
    if not coarse.depth.size:
        return
    at = (
        _sources(fine.depth.shape[0], coarse.depth.shape[0])[rows],
        _sources(fine.depth.shape[1], coarse.depth.shape[1])[columns],
    )
    fine.depth[rows, columns] = coarse.depth[at]
    fine.known[rows, columns] = coarse.known[at]


def _fill(level: _Level, space: float, intensity_range: float) -> None:
    """Set each hole to the weighted mean of what is known in the window around it."""
    rows, columns = np.nonzero(level.missing)
    here = level.intensity[rows, columns]
    weights, values = np.zeros((2, len(rows)))
    for near, y, x in _window(rows, columns, level.depth.shape):
        nearness = np.exp(-(y * y + x * x) / (2 * space * space))
        at = rows[near] + y, columns[near] + x
        difference = level.intensity[at] - here[near]
        weight = nearness * np.exp(-(difference**2) / (2 * intensity_range**2)) * level.known[at]
        weights[near] += weight
        values[near] += weight * level.depth[at]
    found = weights > 0
    level.depth[rows, columns] = np.divide(values, weights, out=np.zeros_like(values), where=found)
    level.known[rows, columns] |= found


def _window(
    rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Offsets y and x in the window, and which pixels stay in the image when shifted by them."""
    for y in range(-_RADIUS, _RADIUS + 1):
        for x in range(-_RADIUS, _RADIUS + 1):
            inside = (0 <= rows + y) & (rows + y < shape[0])
            inside &= (0 <= columns + x) & (columns + x < shape[1])
            yield np.flatnonzero(inside), y, x
