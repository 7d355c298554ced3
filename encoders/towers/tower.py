"""Common interface of CLIP's image towers: pooled, grid and dense features.

Grid features are a tower's last feature map before pooling. Dense features are the same cells,
projected into the joint space of images and texts (MaskCLIP, arXiv 2112.01071: only the value
projection of the attention pooling is kept), so that each cell can be compared with a sentence.
"""

from typing import Any, Protocol

import torch

from clipnav.storage.errors import UserError


class Tower(Protocol):
    """An image tower.

    Images are (N, 3, H, W), normalised. `mask` (N, h, w) bool is False in cells that are padding;
    these are excluded from attention and pooling. None means that no cell is padding.

    Attributes:
        visual: open_clip's module.
        stride: (height, width) in pixels of a cell.
        multiple: Required divisors of the images' (height, width), except at the image size of
            `visual`.
        layout: Fastest memory format of the images.
    """

    visual: Any
    stride: tuple[int, int]
    multiple: tuple[int, int]
    layout: torch.memory_format

    def grid_shape(self, images: torch.Tensor) -> tuple[int, int]:
        """Return (h, w), the grid shape for images of this size."""
        ...

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return pooled features (N, D), not normalised."""
        ...

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return grid features (N, h, w, C), before pooling."""
        ...

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return dense features (N, h, w, D), unit vectors in the joint space with texts."""
        ...


def image_tower(visual: Any, trained: bool = False) -> Tower:
    """Wrap an open_clip model's `visual` as a tower."""
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    from clipnav.encoders.towers.resnet_tower import ResNetTower
    from clipnav.encoders.towers.timm_tower import TimmTower
    from clipnav.encoders.towers.vit_tower import ViTTower

    kinds = {ModifiedResNet: ResNetTower, VisionTransformer: ViTTower, TimmModel: TimmTower}
    for kind, tower in kinds.items():
        if isinstance(visual, kind):
            return tower(visual, trained) if kind is VisionTransformer else tower(visual)
    names = ", ".join(kind.__name__ for kind in kinds)
    raise UserError(
        f"image towers of class {type(visual).__name__} are not supported; use one of {names}"
    )
