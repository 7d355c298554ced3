"""CLIP's ResNets (ModifiedResNet) as image towers for any input size."""

from typing import Any

import torch
from torch.nn import functional as F

from clipnav.encoders.towers.attention import allowed_keys, attend
from clipnav.encoders.towers.positions import Positions

_STRIDE = 32


class ResNetTower:
    """Wrapper of open_clip's ModifiedResNet; see `clipnav.encoders.towers.tower.Tower`.

    Its grid is the last feature map before attention pooling, which CLIP-ViL feeds to its VQA
    models (arXiv 2107.06383, section 4.1). The first of the five halvings of the input size rounds
    up, because the stem pads its input; the other four round down.
    """

    stride = (_STRIDE, _STRIDE)
    multiple = (1, 1)
    layout = torch.channels_last

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        self._positions = Positions(visual.attnpool.positional_embedding)

    def grid_shape(self, images: torch.Tensor) -> tuple[int, int]:
        """Return (h, w) of the images' feature map."""
        height, width = ((side + 1) // 2 // (_STRIDE // 2) for side in images.shape[2:])
        return height, width

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return pooled features (N, D)."""
        return self.pool(self.features(images), mask)

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Return the feature map of the last stage (N, h, w, C)."""
        return self.features(images)

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the attention pooling's value and output projections to each cell (MaskCLIP)."""
        pool = self.visual.attnpool
        return F.normalize(pool.c_proj(pool.v_proj(self.features(images))), dim=-1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the feature map (N, h, w, C) of the last stage."""
        visual = self.visual
        x = visual.stem(images)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        return x.permute(0, 2, 3, 1)

    def arrange(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Return the features, which already are (N, h, w, C)."""
        return features

    def pool(self, grid: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Pool a feature map (N, h, w, C) by attention into (N, D).

        Only the query of the mean is computed, because open_clip discards all other outputs.
        """
        pool = self.visual.attnpool
        positions = self._positions(*grid.shape[1:3])
        cells = grid.flatten(1, 2)  # (N, L, C)
        if mask is None:
            mean, allowed = cells.mean(1, keepdim=True), None
        else:
            real = mask.flatten(1)[..., None]  # (N, L, 1)
            mean = (cells * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
            allowed = allowed_keys(mask)
        tokens = torch.cat([mean.to(cells.dtype), cells], dim=1) + positions
        query = pool.q_proj(tokens[:, 0])[:, None]
        mixed = attend(query, pool.k_proj(tokens), pool.v_proj(tokens), pool.num_heads, allowed)
        return pool.c_proj(mixed[:, 0])
