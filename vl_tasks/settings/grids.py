"""Settings of the grid features of a frozen image encoder."""

from dataclasses import dataclass
from typing import Literal

Fit = Literal["center_crop", "stretch", "pad", "native"]


@dataclass(frozen=True)
class GridConfig:
    """Settings of the image encoder and its grid features."""

    encoder: str = "house_clip"
    """Image encoder: "house_clip", a folder, the name of an open_clip model, or
    "efficientnet-lite0" (ImageNet's labels; requires the extra "bench")."""
    pretrained: str | None = None
    """Weights of an open_clip model: a tag ("openai") or a file."""
    random_weights: bool = False
    """Random instead of trained encoder weights, to measure the benefit of pretraining."""
    precision: str = "auto"
    """Precision of the encoder: fp32, medium, bf16 or fp16; auto selects the fastest precision that
    the hardware supports natively."""
    fit: Fit = "center_crop"
    """Resizing of images: center_crop (as in the encoder's training), stretch or pad (to the input
    size), or native (original size)."""
    image_size: tuple[int, int] | None = None
    """Height and width of the encoder input in pixels; default: the encoder's training size."""
    keep: bool = True
    """Cache of grid features on disk (below $CLIPNAV_CACHE), in half precision."""
