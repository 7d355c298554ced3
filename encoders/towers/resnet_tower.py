"""CLIP's ResNets (ModifiedResNet) as image towers for any size of picture."""

from typing import Any

import torch
from torch.nn import functional as F

from encoders.towers.attention import attend
from encoders.towers.positions import Positions

_STRIDE = 32


class ResNetTower:
    """Wraps open_clip's ModifiedResNet; see `encoders.towers.towers.Tower`.

    Its places are those of the last feature map, before the pooling attention: the grid that
    CLIP-ViL feeds to its VQA models (arXiv 2107.06383, section 4.1). The first halving rounds up,
    for the stem pads its pictures; the four that follow round down.
    """

    stride = (_STRIDE, _STRIDE)
    multiple = (1, 1)
    layout = torch.channels_last

    def __init__(self, visual: Any) -> None:
        self.visual = visual
        self._positions = Positions(visual.attnpool.positional_embedding)

    def grid_shape(self, images: torch.Tensor) -> tuple[int, int]:
        """(h, w) of the feature map of pictures."""
        height, width = ((side + 1) // 2 // (_STRIDE // 2) for side in images.shape[2:])
        return height, width

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features of whole pictures."""
        return self.pool(self.features(images), mask)

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The feature map of the last stage."""
        return self.features(images)

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The map through the pooling attention's value and output projections (MaskCLIP)."""
        pool = self.visual.attnpool
        return F.normalize(pool.c_proj(pool.v_proj(self.features(images))), dim=-1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, h, w, C) after the last stage."""
        visual = self.visual
        x = visual.stem(images)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        return x.permute(0, 2, 3, 1)

    def arrange(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """(N, h, w, C) of features of pictures: themselves."""
        return features

    def pool(self, places: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attention pooling of a map (N, h, w, C) into (N, D).

        Only the query of the mean is worked out, for open_clip keeps no other one.
        """
        pool = self.visual.attnpool
        positions = self._positions(*places.shape[1:3])
        places = places.flatten(1, 2)  # (N, L, C)
        if mask is None:
            mean, allowed = places.mean(1, keepdim=True), None
        else:
            real = mask.flatten(1)[..., None]  # (N, L, 1)
            mean = (places * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
            allowed = F.pad(mask.flatten(1), (1, 0), value=True)[:, None, None]
        tokens = torch.cat([mean.to(places.dtype), places], dim=1) + positions
        query = pool.q_proj(tokens[:, 0])[:, None]
        mixed = attend(query, pool.k_proj(tokens), pool.v_proj(tokens), pool.num_heads, allowed)
        return pool.c_proj(mixed[:, 0])
