"""Sampling of cube maps.

The six faces are side by side in one strip (S, 6 S), in the order of Matterport's skyboxes: 0 up, 1
to 4 around, 5 down. In the axes of the cube they are the OpenGL cube map faces +y, +z, +x, -z, -x
and -y (NavGraph.cpp of the Matterport3D Simulator, `loadCubemapImages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from clipnav.envs.panoramas.cameras import Camera

FACES = 6
_HALF = 0.5
# Number of pixels that are sampled at a time: intermediate results then stay in the processor's
# cache, which makes a frame of 640 x 480 twice as fast.
_PIXELS_PER_BAND = 40_000


def cube_strip(faces: np.ndarray, reduction: int = 1) -> torch.Tensor:
    """Convert a strip of faces for sampling.

    Args:
        faces: (S, 6 S) or (S, 6 S, C), of a type that fits into float32.

    Returns:
        (1, C, S, 6 S) float32.
    """
    import torch
    import torch.nn.functional as functional

    faces = faces if faces.ndim == 3 else faces[..., None]
    planes = np.empty((1, faces.shape[2], *faces.shape[:2]), np.float32)
    for channel in range(faces.shape[2]):  # several times faster than one transposition
        planes[0, channel] = faces[..., channel]
    strip = torch.from_numpy(planes)
    return functional.avg_pool2d(strip, reduction) if reduction > 1 else strip


def draw(strip: torch.Tensor, matrix: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Sample an (H, W, C) uint8 image from faces with values 0..255.

    Args:
        strip: (1, C, S, 6 S) from `cube_strip`.
        matrix: (3, 3) matrix that maps directions to the axes of the cube.
        directions: (3, H, W) float32 directions of the pixels.
    """
    height, width = directions.shape[1:]
    picture = np.empty((height, width, strip.shape[1]), np.uint8)
    step = max(1, _PIXELS_PER_BAND // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        planes = sample_cube(strip, rotated(matrix, directions[:, rows])) + np.float32(_HALF)
        for channel, plane in enumerate(planes):  # several times faster than one transposition
            picture[rows, :, channel] = plane
    return picture


def sample_cube(strip: torch.Tensor, directions: np.ndarray) -> np.ndarray:
    """Sample faces in given directions, bilinearly within a face, as OpenGL does by default.

    Args:
        strip: (1, C, S, 6 S) from `cube_strip`.
        directions: (3, H, W) float32 in the axes of the cube, of any length except 0.

    Returns:
        (C, H, W) float32.
    """
    import torch
    import torch.nn.functional as functional

    grid = torch.from_numpy(_strip_coordinates(directions, strip.shape[2]))[None]
    samples = functional.grid_sample(strip, grid, padding_mode="border", align_corners=False)
    return samples[0].numpy()


def sample_distance(distances: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the (H, W) float32 distances in given directions, NaN where they are unknown.

    Args:
        distances: (S, 6 S), 0 where unknown.
    """
    known = sample_cube(cube_strip(distances > 0), directions)[0]
    sampled = sample_cube(cube_strip(distances), directions)[0]
    # A mean that includes an unknown distance (0) is not a distance.
    return np.where(known > 0.999, sampled, np.float32(np.nan))


def rays(camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Return the (3, height, width) float32 directions of a camera's pixels."""
    x, y = np.arange(size[1]) + _HALF, np.arange(size[0]) + _HALF
    directions = camera(x[None, :], y[:, None])
    return np.ascontiguousarray(np.moveaxis(directions, -1, 0), np.float32)


def rotated(matrix: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return directions (3, H, W) float32 multiplied by a (3, 3) matrix."""
    flat = np.asarray(matrix, np.float32) @ directions.reshape(3, -1)
    return flat.reshape(directions.shape)


def whole_reduction(size: int, finer: float) -> int:
    """Return the largest divisor of `size` by which faces can be reduced for an image.

    Args:
        size: Number of pixels S along a face.
    """
    return max(k for k in range(1, max(1, int(finer + 0.25)) + 1) if size % k == 0)


def _strip_coordinates(directions: np.ndarray, size: int) -> np.ndarray:
    """Return the coordinates of directions on the strip, (H, W, 2) in -1..1 for `grid_sample`.

    The formulas are those of table 3.21 of the OpenGL 2.1 specification.
    """
    x, y, z = directions / np.abs(directions).max(axis=0)
    on_x = np.abs(x) == 1
    on_y = (np.abs(y) == 1) & ~on_x
    face = np.where(on_x, 3 - x, np.where(on_y, 2.5 - 2.5 * y, 2 - z))
    across = np.where(on_y, x, np.where(on_x, -x * z, x * z))
    edge = 1 - 1 / size  # centre of the outermost pixels, so that faces are not blended
    grid = np.empty((*x.shape, 2), np.float32)
    grid[..., 0] = (face + 0.5 + 0.5 * across.clip(-edge, edge)) / (FACES / 2) - 1
    grid[..., 1] = np.where(on_y, y * z, -y)
    return grid
