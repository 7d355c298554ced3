"""Panoramas at any position of a built-in house, besides those of its viewpoints."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock

import numpy as np

from clipnav.envs.pictures.panorama_files import QUALITY, WIDTHS, Pictures
from clipnav.storage.pictures import encode_jpeg
from clipnav.viewer.trace.format import position_of

_WIDEST = WIDTHS[1]  # wider panoramas take seconds
_KEPT = 256  # panoramas in memory, of 100 to 300 kB each

# Renders a panorama (H, 2H, 3) uint8 of a house at a position (3,): (scan, position, width).
DrawAt = Callable[[str, np.ndarray, int], np.ndarray]


class FreePictures:
    """Source of panoramas that also has those of free positions, in memory only."""

    note = ""

    def __init__(self, pictures: Pictures, draw: DrawAt) -> None:
        self._pictures = pictures
        self._draw, self._drawing = draw, Lock()
        self._jpeg = lru_cache(_KEPT)(self._make)

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Return a panorama of a viewpoint or position; see `Pictures`."""
        if position_of(viewpoint) is None:
            return self._pictures.jpeg(scan, viewpoint, width)
        return self._jpeg(scan, viewpoint, min(width, _WIDEST))

    def finest(self, scan: str, viewpoint: str, widths: Sequence[int]) -> int:
        """Return the largest width that needs no rendering, or the first one; see `Pictures`."""
        if position_of(viewpoint) is None:
            return self._pictures.finest(scan, viewpoint, widths)
        return widths[0]

    def rgb(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return the colours around a viewpoint; see `PanoramaSource`."""
        return self._pictures.rgb(scan, viewpoint, width)

    def distance(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return the distances around a viewpoint; see `PanoramaSource`."""
        return self._pictures.distance(scan, viewpoint, width)

    def _make(self, scan: str, name: str, width: int) -> bytes:
        position = position_of(name)
        assert position is not None
        with self._drawing:  # ray tracers are built on first use
            return encode_jpeg(self._draw(scan, np.array(position), width), QUALITY)


def house_free_pictures(pictures: Pictures) -> FreePictures:
    """Return the pictures of the built-in houses with those of free positions."""
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.panoramas import render_panorama

    houses = HousePanoramas()

    def draw(scan: str, position: np.ndarray, width: int) -> np.ndarray:
        return render_panorama(houses.tracer(scan), position, width).rgb

    return FreePictures(pictures, draw)
