"""Images of a state, rendered on first access, and filling of holes in depth images.

The filling, the function `cbf` of the module MatterSim, is the cross bilateral filter of the NYU
Depth V2 toolbox, with MatterSim's three scales and widths (MatterSimPython.cpp, cbf.cpp).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from clipnav.envs.mattersim.settings import SimulatorSettings
from clipnav.envs.mattersim.viewpoints import AgentPose
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.mattersim.rendering import Renderer

_RADIUS = 5
# Widths of the filter at full, half and quarter size: in pixels, and as shares of full intensity.
_SPACE = 12.0, 5.0, 8.0
_RANGE = 0.2, 0.08, 0.02


class Mat(np.ndarray):
    """Image: (H, W, 3) uint8 in the order blue, green, red, or (H, W, 1) uint16 depth.

    MatterSim's class of the same name supports the buffer protocol, as this NumPy array does.
    """


class SimulatorCamera:
    """Camera of one initialised simulator, with the image size at initialisation.

    Attributes:
        size: Rows and columns of an image.
        rendering: Whether images are rendered; otherwise they are black.
        frames: Number of rendered images.
        seconds: Time spent on rendering.
    """

    def __init__(self, settings: SimulatorSettings, dataset_path: Path) -> None:
        self.size = settings.height, settings.width
        self.rendering = settings.rendering
        self.frames = 0
        self.seconds = 0.0
        self._renderer: Renderer | None = None
        self._arguments = (
            dataset_path,
            settings.width,
            settings.height,
            settings.vfov,
            settings.depth,
            settings.preloading,
            settings.cache_size,
            settings.connectivity_dir,
        )

    def open(self) -> Renderer:
        """Create the renderer, which reads all skyboxes if preloading is enabled."""
        if self._renderer is None:
            from clipnav.envs.mattersim.rendering import Renderer

            self._renderer = Renderer(*self._arguments)
        return self._renderer

    def close(self) -> None:
        """Release the skyboxes in memory."""
        self._renderer = None

    def take(self, pose: AgentPose) -> tuple[Mat, Mat]:
        """Return colours and depth; zeros without rendering or before the first episode."""
        location = pose.viewpoint.location
        if not self.rendering or location is None:
            return BlankCamera(self.size).take(pose)
        began = time.perf_counter()
        rgb, depth = self.open().render(
            pose.viewpoint.scan_id, location.viewpointId, pose.heading, pose.elevation
        )
        self.frames += 1
        self.seconds += time.perf_counter() - began
        return rgb.view(Mat), depth.view(Mat)


@dataclass(frozen=True)
class BlankCamera:
    """Camera that returns black images of a size (rows, columns) with zero depth."""

    size: tuple[int, int]
    rendering: ClassVar[bool] = False

    def take(self, pose: AgentPose) -> tuple[Mat, Mat]:
        """Return zeros."""
        rgb = np.zeros((*self.size, 3), np.uint8)
        return rgb.view(Mat), np.zeros((*self.size, 1), np.uint16).view(Mat)


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
    height, width = level.depth.shape
    for y, x in product(range(-_RADIUS, _RADIUS + 1), repeat=2):
        inside = (0 <= rows + y) & (rows + y < height)
        near = np.flatnonzero(inside & (0 <= columns + x) & (columns + x < width))
        nearness = np.exp(-(y * y + x * x) / (2 * space * space))
        at = rows[near] + y, columns[near] + x
        difference = level.intensity[at] - here[near]
        weight = nearness * np.exp(-(difference**2) / (2 * intensity_range**2)) * level.known[at]
        weights[near] += weight
        values[near] += weight * level.depth[at]
    filled = weights > 0
    level.depth[rows, columns] = np.divide(values, weights, out=np.zeros_like(values), where=filled)
    level.known[rows, columns] |= filled
