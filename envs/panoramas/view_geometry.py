"""Geometries of the 36 views that an encoder reads: square views, and those of CLIP-ViL.

"square" views are RGB, have the image size of the encoder and a field of view of 60 degrees in both
directions.

"clip_vil" views reproduce the input of CLIP-ViL's released R2R and RxR features: frames of
MatterSim's camera (640 x 480, 60 degrees vertically, 75 horizontally) with red and blue swapped,
because `precompute_imagenet_views.py` passes MatterSim's BGR to CLIP as RGB, and then CLIP's
preprocessing, which resizes the shorter side to the encoder's size and crops the centre. The crop
also spans 60 degrees in both directions, so the swapped channels and one more resampling are the
only differences from square views.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import VFOV

Geometry = Literal["square", "clip_vil"]

MATTERSIM_SIZE = (480, 640)

# Renders the views of one viewpoint, (36, height, width, 3) uint8 RGB, from (height, width) in
# pixels and the vertical field of view in radians.
Cutter = Callable[[tuple[int, int], float], np.ndarray]


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
