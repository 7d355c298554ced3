"""The visual trunk: an image tower of a CLIP whose grid features are trained end to end."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.encoders.towers.resnet_tower import ResNetTower
from clipnav.encoders.towers.tower import image_tower
from clipnav.encoders.towers.vit_tower import ViTTower
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures


class Trunk(nn.Module):
    """Grid features of images, before pooling.

    Args:
        visual: open_clip's image tower, ModifiedResNet or VisionTransformer; its pooling is
            removed. `image_mean` and `image_std` normalise the images.
        faithful: Padding counts as black pixels of the image, as in CLIP-ViL; otherwise padding is
            0 after normalisation, and masked.
        tokens: Return the class token and the patch tokens of a VisionTransformer before its last
            layer norm, as a grid with one row, if `faithful`; other towers are not affected.

    Attributes:
        channels: Width C of the grid features.
        frozen_norms: See above; may be changed.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        visual: Any,
        faithful: bool = False,
        frozen_norms: bool = False,
        tokens: bool = False,
    ) -> None:
        super().__init__()
        self.tower = image_tower(visual, trained=True)
        self.visual: nn.Module = visual
        if isinstance(self.tower, ResNetTower):
            self.channels: int = visual.attnpool.k_proj.in_features
            visual.attnpool = nn.Identity()
            _replace_pointwise(visual)
        elif isinstance(self.tower, ViTTower) and visual.attn_pool is None:
            self.channels = visual.positional_embedding.shape[1]
            visual.proj = None
        else:
            raise UserError(
                f"an image tower of class {type(visual).__name__} cannot be trained here; choose "
                "a ResNet or ViT of open_clip without attentional pooling as --trunk.encoder"
            )
        self.frozen_norms = frozen_norms
        self._faithful = faithful
        self._tokens = tokens and faithful
        if self._tokens and isinstance(self.tower, ViTTower):
            visual.ln_post.requires_grad_(False)  # no token passes through it
        self._trained = [weight for weight in self.parameters() if weight.requires_grad]
        self._frozen = False
        for name in ("mean", "std"):
            values = torch.tensor(getattr(visual, f"image_{name}")).view(3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def frozen(self) -> bool:
        """Whether all weights and statistics of the trunk are kept in training."""
        return self._frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._frozen = frozen
        # DistributedDataParallel waits for a gradient of every weight that requires one.
        for weight in self._trained:
            weight.requires_grad_(not frozen)

    def train(self, mode: bool = True) -> "Trunk":
        """Set the training mode; batch norms stay in evaluation mode if they are frozen."""
        super().train(mode and not self.frozen)
        if self.frozen_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, pictures: Pictures) -> tuple[Tensor, Tensor]:
        """Compute grid features (B, h, w, C), and the mask (B, h, w) of cells of the images.

        Pairs of one image share a pass through the tower.
        """
        grid, mask = self._grids(pictures)
        rows = pictures.rows
        return (grid, mask) if rows is None else (grid[rows], mask[rows])

    def _grids(self, pictures: Pictures) -> tuple[Tensor, Tensor]:
        """Compute grid features (M, h, w, C) of the images, and the mask (M, h, w)."""
        pixels, boxes, _ = pictures
        images = (pixels.float() / 255 - self.mean) / self.std
        grid_shape = self.tower.grid_shape(images)
        if self._faithful:
            grid = self._features(images, None)
            return grid, torch.ones(grid.shape[:3], dtype=torch.bool, device=grid.device)
        rows, columns = _inside(boxes, images.shape[2], 0), _inside(boxes, images.shape[3], 1)
        images = images * (rows[:, None, :, None] & columns[:, None, None, :])
        mask = _cells(rows, grid_shape[0])[:, :, None] & _cells(columns, grid_shape[1])[:, None]
        return self._features(images, mask), mask

    def as_grid(self, values: Tensor, pixels: Tensor) -> Tensor:
        """Return values (h, w) of the cells of an image, for values of its features.

        The class token, if it is among the features, is omitted.

        Args:
            pixels: The image, (1, 3, H, W).
        """
        if not self._tokens or not isinstance(self.tower, ViTTower):
            return values
        return values[0, 1:].unflatten(0, self.tower.grid_shape(pixels))

    def _features(self, images: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the features (B, h, w, C) of normalised images."""
        images = images.contiguous(memory_format=self.tower.layout)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if self._tokens and isinstance(self.tower, ViTTower):
                return self.tower.tokens(images, mask)[:, None]
            return self.tower.grid(images, mask)


class PointwiseConvolution(nn.Conv2d):
    """1 x 1 convolution, computed as a matrix product on the CPU.

    With one thread and batches of fewer than 16 images, torch computes these convolutions without
    oneDNN, which takes twice as long (`use_mkldnn` in aten/src/ATen/native/Convolution.cpp).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve images (N, C, h, w)."""
        if input.device.type != "cpu":
            return super().forward(input)
        cells = input.permute(0, 2, 3, 1)  # contiguous in the memory format channels_last
        return F.linear(cells, self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def _replace_pointwise(visual: nn.Module) -> None:
    """Replace the 1 x 1 convolutions of a ResNet; weights and their names stay the same."""
    for module in list(visual.modules()):
        for name, child in list(module.named_children()):
            if type(child) is not nn.Conv2d or child.kernel_size != (1, 1):
                continue
            if child.stride != (1, 1) or child.groups != 1:
                continue
            with torch.device("meta"):
                sizes = (child.in_channels, child.out_channels, 1)
                pointwise = PointwiseConvolution(*sizes, bias=child.bias is not None)
            pointwise.weight, pointwise.bias = child.weight, child.bias
            setattr(module, name, pointwise)


def _inside(boxes: Tensor, length: int, axis: int) -> Tensor:
    """Return the mask (B, length) of pixel rows (axis 0) or columns (1) that are in the boxes."""
    first, count = boxes[:, axis, None], boxes[:, axis + 2, None]
    pixels = torch.arange(length, device=boxes.device)
    return (pixels >= first) & (pixels < first + count)


def _cells(inside: Tensor, count: int) -> Tensor:
    """Return which of `count` cells along an axis contain pixels of the image: (B, count)."""
    return inside.unflatten(1, (count, -1)).any(2)
