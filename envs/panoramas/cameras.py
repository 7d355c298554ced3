"""Cameras, and ray-traced images with antialiased edges.

A camera maps pixel coordinates to directions: `camera(x, y)` returns unit vectors (..., 3) for
arrays of x (to the right) and y (down); pixel centres are at integers plus 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clipnav.envs.panoramas.ray_tracer import Hits, RayTracer

Camera = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Offsets of the extra rays of an edge pixel from its centre, in pixels.
_EDGE_OFFSETS = ((-0.36, -0.12), (0.12, -0.36), (0.24, 0.36))


def direction(heading: np.ndarray | float, elevation: np.ndarray | float) -> np.ndarray:
    """Return unit vectors (..., 3) for headings clockwise from +y and elevations, in radians."""
    flat, rise = np.cos(elevation), np.sin(elevation)
    x, y = flat * np.sin(heading), flat * np.cos(heading)
    return np.stack(np.broadcast_arrays(x, y, rise), axis=-1)


def equirectangular_camera(width: int) -> Camera:
    """Return the camera of a (width/2, width) panorama with heading 0 in the middle column."""

    def look(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        heading = 2 * np.pi * x / width - np.pi
        elevation = np.pi / 2 - 2 * np.pi * y / width
        return direction(heading, elevation)

    return look


def perspective_camera(
    size: tuple[int, int], heading: float, elevation: float, vfov: float
) -> Camera:
    """Return the camera of a (height, width) image with square pixels.

    Args:
        size: Height and width in pixels.
        vfov: Vertical field of view in radians.
    """
    height, width = size
    focal = height / 2 / np.tan(vfov / 2)
    forward = direction(heading, elevation)
    right = np.array([np.cos(heading), -np.sin(heading), 0.0])
    up = np.cross(right, forward)

    def look(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rays = (
            forward * focal
            + np.asarray(x - width / 2)[..., None] * right
            - np.asarray(y - height / 2)[..., None] * up
        )
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    return look


def camera_turn(heading: float, elevation: float) -> np.ndarray:
    """Return the (3, 3) rotation from a level camera along +y to a heading and elevation."""
    sin_h, cos_h = np.sin(heading), np.cos(heading)
    sin_e, cos_e = np.sin(elevation), np.cos(elevation)
    right = (cos_h, -sin_h, 0.0)
    ahead = (cos_e * sin_h, cos_e * cos_h, sin_e)
    up = (-sin_e * sin_h, -sin_e * cos_h, cos_e)
    return np.column_stack([right, ahead, up])


def render(
    tracer: RayTracer,
    position: np.ndarray,
    camera: Camera,
    size: tuple[int, int],
    angle: float,
    rows: slice = slice(None),
) -> Hits:
    """Render an image; pixels at edges between surfaces get the mean of four rays.

    Args:
        position: (3,) position of the camera in metres.
        size: (height, width) of the whole image in pixels.
        angle: Angle of a pixel in radians.
        rows: Rows of the image to render, all by default. Edges between the first or last of these
            rows and rows outside are not antialiased.
    """
    height, width = size
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[rows]
    directions = camera(x[None, :], y[:, None]).reshape(-1, 3)
    hits = tracer.trace(position, directions, angle)
    edge = np.flatnonzero(_edges(tracer, hits, (len(y), width)))
    if len(edge):
        row, column = np.divmod(edge, width)
        total = hits.rgb[edge].astype(np.float32)
        for dx, dy in _EDGE_OFFSETS:
            total += tracer.trace(position, camera(x[column] + dx, y[row] + dy), angle).rgb
        hits.rgb[edge] = (total / (1 + len(_EDGE_OFFSETS)) + 0.5).astype(np.uint8)
    return hits


def _edges(tracer: RayTracer, hits: Hits, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W) bool, whether a neighbour shows another object, texture or orientation."""
    identity = tracer.surface_class(hits.face).reshape(size)
    edge = np.zeros(size, bool)
    for axis in (0, 1):
        differs = np.diff(identity, axis=axis) != 0
        low = (slice(None),) * axis + (slice(None, -1),)
        high = (slice(None),) * axis + (slice(1, None),)
        edge[low] |= differs
        edge[high] |= differs
    return edge
