"""timm models as image towers of open_clip: ConvNeXt, SigLIP, EVA-02, MobileCLIP and others."""

import copy
from typing import Any

import torch
from torch.nn import functional as F

from clipnav.storage.errors import UserError

# Poolings that can be applied to a single cell.
_LOCAL_POOLS = ("", "avg", "map")
_KEPT_SIZES = 16


class TimmTower:
    """Wrapper of open_clip's TimmModel; see `clipnav.encoders.towers.tower.Tower`.

    Its grid is the output of timm's `forward_features`, without class and register tokens. Dense
    features are the output of the model's head for each cell alone. A head that reads a class token
    cannot be applied to a cell, so such towers have no dense features.
    """

    layout = torch.channels_last

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        reduction = visual.trunk.feature_info[-1]["reduction"]
        self.stride: tuple[int, int] = (reduction, reduction)
        self.multiple = self.stride
        self._native: tuple[int, int] = tuple(visual.image_size)
        self._resized: dict[tuple[int, int], Any] = {}

    def grid_shape(self, images: torch.Tensor) -> tuple[int, int]:
        """Return (h, w) of the images' grid."""
        return images.shape[2] // self.stride[0], images.shape[3] // self.stride[1]

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return pooled features (N, D)."""
        return self.pool(self.features(images), mask)

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return grid features (N, h, w, C), the output of `forward_features`."""
        self._refuse(mask)
        return self.arrange(self.features(images), images)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the output of timm's `forward_features` in the layout of the trunk."""
        return self._trunk(images).forward_features(images)

    def arrange(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Rearrange features of images as a grid (N, h, w, C)."""
        shape = self.grid_shape(images)
        if features.ndim == 3:
            cells = features[:, self.visual.trunk.num_prefix_tokens :]
            return cells.unflatten(1, shape)
        grid = features if self._channels_last else features.permute(0, 2, 3, 1)
        if grid.shape[1:3] != shape:
            raise UserError(
                f"a {type(self.visual.trunk).__name__} has no grid of whole cells at "
                f"{images.shape[2]} x {images.shape[3]} pixels; give a size in multiples of "
                f"{self.stride[0]} x {self.stride[1]}"
            )
        return grid

    def pool(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Pool features into (N, D)."""
        self._refuse(mask)
        return self.visual.head(self.visual.trunk.forward_head(features))

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the head to each cell alone and return unit vectors (N, h, w, D)."""
        self._refuse(mask)
        trunk = self.visual.trunk
        pool = getattr(trunk, "global_pool", "")
        if "pool" in dict(self.visual.head.named_children()) or pool not in _LOCAL_POOLS:
            raise UserError(
                f"a {type(trunk).__name__} with pooling '{pool}' has no dense features; "
                "use grid features, or a ResNet or ViT of open_clip"
            )
        grid = self.grid(images)  # (N, h, w, C)
        cells = grid.flatten(0, 2)
        if hasattr(trunk, "num_prefix_tokens"):
            # The pooling skips the prefix tokens, so the cell is repeated to fill their positions.
            cells = cells[:, None].expand(-1, 1 + trunk.num_prefix_tokens, -1)
        else:
            cells = cells[:, None, None] if self._channels_last else cells[:, :, None, None]
        return F.normalize(self.pool(cells), dim=-1).unflatten(0, grid.shape[:3])

    @property
    def _channels_last(self) -> bool:
        return str(getattr(self.visual.trunk, "output_fmt", "NCHW")).endswith("NHWC")

    def _trunk(self, images: torch.Tensor) -> Any:
        """Return the trunk for images of this size; copies share all weights except positions."""
        size = images.shape[2], images.shape[3]
        trunk = self.visual.trunk
        if size == self._native or not hasattr(trunk, "set_input_size"):
            return trunk
        if size in self._resized:
            return self._resized[size]
        shared = {id(tensor): tensor for tensor in (*trunk.parameters(), *trunk.buffers())}
        # timm assigns new position tensors and never writes into the shared ones.
        with torch.inference_mode(False):
            resized = copy.deepcopy(trunk, shared)
            resized.set_input_size(img_size=size)
            resized.eval().to(images.device, images.dtype)
        if len(self._resized) == _KEPT_SIZES:
            self._resized.pop(next(iter(self._resized)))
        self._resized[size] = resized
        return resized

    def _refuse(self, mask: torch.Tensor | None) -> None:
        if mask is not None:
            raise UserError(
                f"a {type(self.visual.trunk).__name__} does not support masked padding; use fit "
                "'stretch' or 'native'"
            )
