"""Filling of holes in depth images: the function `cbf` of the module MatterSim.

The method is the cross bilateral filter of the NYU Depth V2 toolbox, with MatterSim's three scales
and widths (MatterSimPython.cpp, cbf.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clipnav.storage.errors import UserError

_RADIUS = 5
# Widths of the filter at full, half and quarter size: in pixels, and as shares of full intensity.
_SPACE = 12.0, 5.0, 8.0
_RANGE = 0.2, 0.08, 0.02


@dataclass
class _Level:
    """Images (h, w) at one scale, 0..1; `known` marks the pixels whose depth may be used."""

    depth: np.ndarray
    intensity: np.ndarray
    missing: np.ndarray
    known: np.ndarray


def cbf(depth: ArrayLike, intensity: ArrayLike, mask: ArrayLike, result: np.ndarray, /) -> None:
    """Fill the holes of a depth image from pixels that are near in position and intensity.

    Holes are filled at a quarter of the size, then at half and at full size; pixels that were
    filled at a coarser scale count as known. A hole without known pixels around it becomes 0.

    Args:
        depth: (H, W) uint8 depth.
        intensity: (H, W) uint8 grey image.
        mask: (H, W), nonzero where depth is missing.
        result: (H, W) uint8, overwritten.
    """
    depth, intensity = np.asarray(depth), np.asarray(intensity)
    missing = np.asarray(mask) != 0
    shapes = {depth.shape, intensity.shape, missing.shape, np.shape(result)}
    if len(shapes) > 1 or depth.ndim != 2:
        raise UserError(f"cbf(): images must have one size (H, W), not {sorted(shapes)}")
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
            _copy_to_finer(levels[scale], levels[scale - 1])
    result[...] = np.where(missing, (full.depth * np.float32(255)).astype(np.uint8), depth)


def _shrunk(level: _Level, factor: int) -> _Level:
    height, width = level.depth.shape
    rows = _scaled(height // factor, height)
    columns = _scaled(width // factor, width)
    at = np.ix_(rows, columns)
    return _Level(level.depth[at], level.intensity[at], level.missing[at], level.known[at].copy())


def _scaled(count: int, source_count: int) -> np.ndarray:
    """Return (count,) indices as `_sources`, with the float32 rounding of `cbf.cpp`."""
    shares = np.arange(count, dtype=np.float32) / np.float32(max(count, 1))
    return (shares * np.float32(source_count)).astype(np.int64)


def _sources(count: int, source_count: int) -> np.ndarray:
    """Return (count,) nearest-neighbour indices into a row of `source_count` pixels."""
    return np.arange(count) * source_count // max(count, 1)


def _copy_to_finer(coarse: _Level, fine: _Level) -> None:
    """Copy known depth at a coarser level into the holes of a finer level."""
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
    """Set each hole to the weighted mean of the known pixels in the window around it."""
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
    filled = weights > 0
    level.depth[rows, columns] = np.divide(values, weights, out=np.zeros_like(values), where=filled)
    level.known[rows, columns] |= filled


def _window(
    rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield offsets y and x in the window, and the pixels that stay in the image when shifted."""
    for y in range(-_RADIUS, _RADIUS + 1):
        for x in range(-_RADIUS, _RADIUS + 1):
            inside = (0 <= rows + y) & (rows + y < shape[0])
            inside &= (0 <= columns + x) & (columns + x < shape[1])
            yield np.flatnonzero(inside), y, x
