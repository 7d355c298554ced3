"""What CLIP's image towers have in common: features of pictures and of their places.

Grid features are a tower's last feature map before it pools. Dense features are the same places in
the space that pictures and texts share (MaskCLIP, arXiv 2112.01071: of the pooling attention only
the value projection is kept), so that each place can be compared with a sentence.
"""

from typing import Any, Protocol

import torch


class Tower(Protocol):
    """An image tower.

    Pictures are (N, 3, H, W), normalised. `mask` (N, h, w) bool tells real places from those of
    padding, which then have no part in what the others become; None where all are real.

    Attributes:
        visual: open_clip's module.
        stride: (height, width) in pixels of a place.
        multiple: Heights and widths of pictures must be multiples of these.
        layout: Memory format in which pictures are worked on fastest.
    """

    visual: Any
    stride: tuple[int, int]
    multiple: tuple[int, int]
    layout: torch.memory_format

    def grid_shape(self, images: torch.Tensor) -> tuple[int, int]:
        """(h, w): how many places pictures of this size have."""
        ...

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features (N, D) of whole pictures, not normalised."""
        ...

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features (N, h, w, C) of places before pooling."""
        ...

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Unit vectors (N, h, w, D) of places in the space shared with texts."""
        ...


def image_tower(visual: Any) -> Tower:
    """The tower of an open_clip model's `visual`.

    Raises:
        ValueError: It is of an unknown kind.
    """
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    from encoders.towers.resnet_tower import ResNetTower
    from encoders.towers.timm_tower import TimmTower
    from encoders.towers.vit_tower import ViTTower

    kinds = {ModifiedResNet: ResNetTower, VisionTransformer: ViTTower, TimmModel: TimmTower}
    for kind, tower in kinds.items():
        if isinstance(visual, kind):
            return tower(visual)
    raise ValueError(f"an image tower of kind {type(visual).__name__} is not known")
