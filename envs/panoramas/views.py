"""Perspective views of a panorama: the 36 views of MatterSim, and views in any direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from PIL import Image

from clipnav.envs.panoramas.cameras import camera_turn, perspective_camera
from clipnav.envs.panoramas.cube_maps import whole_reduction
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import NUM_VIEWS, VFOV, view_direction

if TYPE_CHECKING:
    import torch

_HALF = 0.5
# Columns that are repeated on both sides of a panorama, so that filtering wraps around.
_PADDING = 2
Geometry = Literal["square", "clip_vil"]
MATTERSIM_SIZE = (480, 640)
# Renders the views of one viewpoint, (36, height, width, 3) uint8 RGB, from (height, width) in
# pixels and the vertical field of view in radians.
Cutter = Callable[[tuple[int, int], float], np.ndarray]


def views36(
    panorama: np.ndarray, size: int | tuple[int, int] = 224, vfov: float = VFOV
) -> np.ndarray:
    """Resample a panorama to its 36 views, bilinearly and in MatterSim's order.

    Args:
        panorama: (H, 2H, 3) uint8 equirectangular RGB, heading 0 in the middle column.
        vfov: Vertical field of view in radians; pixels are square.

    Returns:
        (36, height, width, 3) uint8.
    """
    shape = _shape(size)
    image = pooled(panorama, _reduction(panorama.shape[1], shape, vfov))
    return sampled(image, grid36(shape, vfov))


def rows_seen(width: int, size: int | tuple[int, int] = 224, vfov: float = VFOV) -> slice:
    """Return the rows of a panorama that `views36` reads, about two thirds of all rows."""
    shape = _shape(size)
    factor = _reduction(width, shape, vfov)
    rows = width // 2 // factor
    elevations = _angles(shape, vfov)[1]
    highest, lowest = (
        int(np.floor((0.5 - angle / np.pi) * rows - _HALF))
        for angle in (elevations.max(), elevations.min())
    )
    # One row more than bilinear sampling reads, because its coordinates are rounded.
    first, last = max(0, highest - 1), lowest + 2
    return slice(factor * first, min(width // 2, factor * (last + 1)))


def views36_nearest(image: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Sample depth or object ids (H, 2H) like `views36`: (36, height, width) of the same type."""
    headings, elevations = _angles(_shape(size), VFOV)
    height, width = image.shape[:2]
    column = np.floor((headings + np.pi) / (2 * np.pi) * width).astype(np.int64) % width
    row = np.floor((np.pi / 2 - elevations) / np.pi * height).astype(np.int64)
    return image[np.clip(row, 0, height - 1), column]


def perspective(
    panorama: np.ndarray,
    heading: float,
    elevation: float,
    size: int | tuple[int, int] = 224,
    vfov: float = VFOV,
) -> np.ndarray:
    """Return a (height, width, 3) uint8 view of a panorama in any direction, in radians."""
    shape = _shape(size)
    image = pooled(panorama, _reduction(panorama.shape[1], shape, vfov))
    return sampled(image, view_grid([(heading, elevation)], shape, vfov))[0]


def pooled(panorama: np.ndarray, factor: int) -> torch.Tensor:
    """Convert a panorama for sampling.

    Args:
        panorama: (H, 2H, 3) uint8.

    Returns:
        (1, 3, h, w) float32 with values in 0..255.
    """
    import torch
    import torch.nn.functional as functional

    image = torch.from_numpy(np.ascontiguousarray(panorama)).permute(2, 0, 1)[None].float()
    return functional.avg_pool2d(image, factor) if factor > 1 else image


def view_grid(
    directions: Sequence[tuple[float, float]], shape: tuple[int, int], vfov: float
) -> torch.Tensor:
    """Return the coordinates of the pixels of N views in a panorama.

    Args:
        directions: Heading and elevation of each view in radians.
        shape: Height and width of a view in pixels.
        vfov: Vertical field of view in radians.

    Returns:
        (N, height, width, 2) float32 in -1..1, as for `sampled`.
    """
    import torch

    grids = []
    for heading, elevation in directions:
        x, y, z = camera_turn(heading, elevation) @ _level_rays(shape, vfov).T
        headings, elevations = np.arctan2(x, y), np.arcsin(np.clip(z, -1, 1))
        grids.append(_grid(headings.reshape(shape), elevations.reshape(shape)))
    return torch.stack(grids)


@lru_cache(maxsize=4)
def grid36(shape: tuple[int, int], vfov: float) -> torch.Tensor:
    """Return the coordinates of the 36 views, see `view_grid`."""
    return _grid(*_angles(shape, vfov))


def sampled(image: torch.Tensor, grid: torch.Tensor) -> np.ndarray:
    """Sample a panorama bilinearly.

    Args:
        image: (1, 3, h, w) float32 from `pooled`.
        grid: (N, height, width, 2) coordinates from `view_grid`.

    Returns:
        (N, height, width, 3) uint8.
    """
    import torch
    import torch.nn.functional as functional

    width = image.shape[-1]
    image = functional.pad(image, (_PADDING, _PADDING, 0, 0), mode="circular")
    scale = torch.tensor([width / (width + 2 * _PADDING), 1.0])
    views = functional.grid_sample(
        image.expand(len(grid), -1, -1, -1),
        grid * scale,
        padding_mode="border",
        align_corners=False,
    )
    return (views + _HALF).clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def _shape(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@lru_cache(maxsize=4)
def _level_rays(shape: tuple[int, int], vfov: float) -> np.ndarray:
    """Return the (height * width, 3) unit directions of the pixels of a level camera along +y."""
    x, y = np.meshgrid(np.arange(shape[1]) + _HALF, np.arange(shape[0]) + _HALF)
    return perspective_camera(shape, 0.0, 0.0, vfov)(x, y).reshape(-1, 3)


@lru_cache(maxsize=4)
def _angles(shape: tuple[int, int], vfov: float) -> tuple[np.ndarray, np.ndarray]:
    """Return headings and elevations of the pixels of the 36 views, (36, height, width)."""
    x, y = np.meshgrid(np.arange(shape[1]) + _HALF, np.arange(shape[0]) + _HALF)
    rays = np.stack(
        [perspective_camera(shape, *view_direction(v), vfov)(x, y) for v in range(NUM_VIEWS)]
    )
    return np.arctan2(rays[..., 0], rays[..., 1]), np.arcsin(np.clip(rays[..., 2], -1, 1))


def _reduction(width: int, shape: tuple[int, int], vfov: float) -> int:
    """Return the factor by which a panorama can be reduced for a view.

    It is at most the ratio of their resolutions at the centre of the view.
    """
    finer = width / (2 * np.pi) / (shape[0] / 2 / np.tan(vfov / 2))
    # A factor that does not divide the panorama would shift it.
    return whole_reduction(width // 2, finer)


def _grid(headings: np.ndarray, elevations: np.ndarray) -> torch.Tensor:
    """Return coordinates for `grid_sample` in an unpadded panorama, (..., 2) in -1..1."""
    import torch

    return torch.from_numpy(
        np.stack([headings / np.pi, -2 * elevations / np.pi], axis=-1).astype(np.float32)
    )


def cut_views(cut: Cutter, geometry: Geometry, image_size: tuple[int, int]) -> np.ndarray:
    """Return the views of a viewpoint in the image size of an encoder, before normalisation.

    Args:
        image_size: (height, width) of the encoder's input in pixels.

    Returns:
        (36, height, width, 3) uint8.
    """
    if geometry not in get_args(Geometry):
        known = ", ".join(get_args(Geometry))
        raise UserError(f"view geometry {geometry!r} is not one of {known}")
    if geometry == "square":
        return cut(image_size, VFOV)
    frames = cut(MATTERSIM_SIZE, VFOV)
    return np.stack([centre_cropped(frame[..., ::-1], image_size) for frame in frames])


def centre_cropped(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Apply CLIP's preprocessing except for the normalisation.

    It equals torchvision's Resize with bicubic interpolation and CenterCrop on PIL images, see
    `_transform` of OpenAI's clip.py.

    Args:
        picture: (H, W, 3) uint8.
        size: (height, width) of the result, which are equal in all models of OpenAI.

    Returns:
        (height, width, 3) uint8.
    """
    height, width = picture.shape[:2]
    shorter = min(height, width)
    # Sizes are truncated instead of rounded, as in torchvision.
    resized = Image.fromarray(np.ascontiguousarray(picture)).resize(
        (width * max(size) // shorter, height * max(size) // shorter), Image.Resampling.BICUBIC
    )
    left, top = round((resized.width - size[1]) / 2), round((resized.height - size[0]) / 2)
    return np.asarray(resized.crop((left, top, left + size[1], top + size[0])))


def geometry_metadata(geometry: Geometry) -> dict[str, Any]:
    """Return the metadata of a feature store about its views, besides their field of view.

    The metadata is empty for square RGB views.
    """
    if geometry == "square":
        return {}
    return {
        "view_geometry": geometry,
        "view_size": list(MATTERSIM_SIZE),
        "channel_order": "BGR",
        "crop": "shorter side resized (bicubic), centre cut out",
    }
