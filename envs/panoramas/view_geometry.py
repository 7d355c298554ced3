"""How the 36 views are cut and prepared for an encoder: as they should be, and as CLIP-ViL did it.

"square" views have the encoder's own size, a field of view of 60 degrees both ways and RGB.

"clip_vil" gives the pictures from which CLIP-ViL's released R2R and RxR features were encoded:
frames of MatterSim's camera (640 x 480, 60 degrees vertically, 75 horizontally), blue and red
swapped, for `precompute_imagenet_views.py` hands MatterSim's BGR to CLIP as if it were RGB, then
CLIP's own preprocessing, which makes the shorter side as long as the encoder's and cuts off what
lies beyond its square at the left and right. What is left spans 60 degrees both ways, too: swapped
channels and one resampling more are all that sets these views apart from square ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from storage.features.view_grid import VFOV

Geometry = Literal["square", "clip_vil"]

MATTERSIM_SIZE = (480, 640)

# Cuts the views of one viewpoint: given (height, width) in pixels and the vertical field of view in
# radians, (36, height, width, 3) uint8 RGB.
Cutter = Callable[[tuple[int, int], float], np.ndarray]


def cut_views(cut: Cutter, geometry: Geometry, image_size: tuple[int, int]) -> np.ndarray:
    """The views of a viewpoint, ready to be normalised.

    Args:
        cut: where they come from.
        geometry: see the module.
        image_size: (height, width) in pixels that the encoder takes.

    Returns:
        (36, height, width, 3) uint8 of that size.

    Raises:
        ValueError: no such geometry.
    """
    if geometry not in get_args(Geometry):
        raise ValueError(f"view geometry {geometry!r} is none of {', '.join(get_args(Geometry))}")
    if geometry == "square":
        return cut(image_size, VFOV)
    frames = cut(MATTERSIM_SIZE, VFOV)
    return np.stack([centre_cropped(frame[..., ::-1], image_size) for frame in frames])


def centre_cropped(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What CLIP's preprocessing does to a picture before normalising it.

    torchvision's Resize with bicubic interpolation and CenterCrop on PIL images, in `_transform` of
    OpenAI's clip.py.

    Args:
        picture: (H, W, 3) uint8.
        size: (height, width) of the result, equal numbers in every CLIP of OpenAI.

    Returns:
        (height, width, 3) uint8.
    """
    height, width = picture.shape[:2]
    scale = max(size) / min(height, width)
    # Whole pixels are cut off, not rounded, as torchvision does.
    resized = Image.fromarray(np.ascontiguousarray(picture)).resize(
        (int(width * scale), int(height * scale)), Image.Resampling.BICUBIC
    )
    left, top = round((resized.width - size[1]) / 2), round((resized.height - size[0]) / 2)
    return np.asarray(resized.crop((left, top, left + size[1], top + size[0])))


def geometry_metadata(geometry: Geometry) -> dict[str, Any]:
    """What a feature store records of its views beyond their field of view.

    Nothing for square RGB views, so that a store that says nothing has those.
    """
    if geometry == "square":
        return {}
    return {
        "view_geometry": geometry,
        "view_size": list(MATTERSIM_SIZE),
        "channel_order": "BGR",
        "crop": "shorter side resized (bicubic), centre cut out",
    }
