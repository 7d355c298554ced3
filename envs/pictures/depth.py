"""Planar depth of perspective views, sampled from a panorama of distances along rays."""

import numpy as np

from clipnav.envs.pictures.panorama_files import MILLIMETRES, NOTHING, UNKNOWN

# Four neighbours are one surface if their distances differ by less than this factor. The floor is,
# up to 20 m, in a panorama of 1024 columns at eye height.
_SAME_SURFACE = 1.1


def inverse_distances(distances: np.ndarray) -> np.ndarray:
    """Convert distances of a panorama for sampling.

    Args:
        distances: (H, 2H) uint16 millimetres, see `PanoramaSource.distance`.

    Returns:
        (H, 2H) float32 in 1 / metres, 0 where rays hit nothing and NaN where they are unknown.
    """
    known = np.where(distances == UNKNOWN, np.nan, distances.astype(np.float32))
    inverse = np.float32(MILLIMETRES) / known
    inverse[distances == NOTHING] = 0.0
    return inverse.astype(np.float32)


def planar_depth(inverse: np.ndarray, grid: np.ndarray, vfov: float) -> np.ndarray:
    """Sample depth along the optical axis of each view.

    The inverse of the distance to a plane is linear in the direction, so it is interpolated between
    the four nearest pixels if they show one surface. At an edge the nearest pixel decides.

    Args:
        inverse: (H, 2H) from `inverse_distances`.
        grid: (N, height, width, 2) coordinates from `clipnav.envs.panoramas.views.view_grid`.
        vfov: Vertical field of view in radians.

    Returns:
        (N, height, width) float32 metres, inf where rays hit nothing and NaN where unknown.
    """
    rows, columns = inverse.shape
    x = (grid[..., 0] + 1) * np.float32(columns / 2) - np.float32(0.5)
    y = (grid[..., 1] + 1) * np.float32(rows / 2) - np.float32(0.5)
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = x - left, y - top
    across = left % columns, (left + 1) % columns
    down = top.clip(0, rows - 1), (top + 1).clip(0, rows - 1)
    corners = np.stack([inverse[row, column] for row in down for column in across])
    smooth = corners.max(0) < _SAME_SURFACE * corners.min(0)
    upper = corners[0] + fx * (corners[1] - corners[0])
    lower = corners[2] + fx * (corners[3] - corners[2])
    nearest = np.where(
        fy < 0.5,
        np.where(fx < 0.5, corners[0], corners[1]),
        np.where(fx < 0.5, corners[2], corners[3]),
    )
    value = np.where(smooth, upper + fy * (lower - upper), nearest)
    with np.errstate(divide="ignore"):
        return (_obliquity(grid.shape[1:3], vfov) / value).astype(np.float32)


def _obliquity(shape: tuple[int, ...], vfov: float) -> np.ndarray:
    """Return the (height, width) cosine between each pixel's ray and the optical axis."""
    height, width = shape
    focal = height / 2 / np.tan(vfov / 2)
    x, y = np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2
    return (focal / np.sqrt(focal**2 + x[None, :] ** 2 + y[:, None] ** 2)).astype(np.float32)
