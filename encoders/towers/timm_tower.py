"""Image towers that open_clip takes from timm: ConvNeXt, SigLIP, EVA-02, MobileCLIP and others."""

import copy
from typing import Any

import torch
from torch.nn import functional as F

# Poolings of which a single place is a picture like any other.
_LOCAL_POOLS = ("", "avg", "map")
_KEPT_SIZES = 16


class TimmTower:
    """Wraps open_clip's TimmModel; see `encoders.towers.towers.Tower`.

    Its places are those of timm's `forward_features`, without class and register tokens. Dense
    features are what the tower's own head makes of each place alone; a head that reads a class
    token would make nothing of them, so towers with one have none.
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
        """(h, w) of the places of pictures."""
        return images.shape[2] // self.stride[0], images.shape[3] // self.stride[1]

    def pooled(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Features of whole pictures."""
        self._refuse(mask)
        return self.pool(self.features(images))

    def grid(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """What `forward_features` knows of places."""
        self._refuse(mask)
        return self.arrange(self.features(images), images)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What timm's `forward_features` makes of pictures, in the trunk's own form."""
        return self._trunk(images).forward_features(images)

    def arrange(self, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """(N, h, w, C) of features of pictures."""
        if features.ndim == 3:
            places = features[:, self.visual.trunk.num_prefix_tokens :]
            return places.unflatten(1, self.grid_shape(images))
        return features if self._channels_last else features.permute(0, 2, 3, 1)

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """(N, D) of features."""
        return self.visual.head(self.visual.trunk.forward_head(features))

    def dense(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Places through the head, one by one.

        Raises:
            ValueError: The head reads a class token.
        """
        trunk = self.visual.trunk
        pool = getattr(trunk, "global_pool", "")
        if "pool" in dict(self.visual.head.named_children()) or pool not in _LOCAL_POOLS:
            raise ValueError(
                f"dense features of a {type(trunk).__name__} that pools by '{pool}' are not known; "
                "use grid features, or a ResNet or ViT of open_clip"
            )
        grid = self.grid(images)  # (N, h, w, C)
        places = grid.flatten(0, 2)
        if hasattr(trunk, "num_prefix_tokens"):
            # The pooling skips prefix tokens, so as many stand before the place.
            places = places[:, None].expand(-1, 1 + trunk.num_prefix_tokens, -1)
        else:
            places = places[:, None, None] if self._channels_last else places[:, :, None, None]
        return F.normalize(self.pool(places), dim=-1).unflatten(0, grid.shape[:3])

    @property
    def _channels_last(self) -> bool:
        return str(getattr(self.visual.trunk, "output_fmt", "NCHW")).endswith("NHWC")

    def _trunk(self, images: torch.Tensor) -> Any:
        """The trunk for pictures of this size, which shares all weights but positions."""
        size = images.shape[2], images.shape[3]
        trunk = self.visual.trunk
        if size == self._native or not hasattr(trunk, "set_input_size"):
            return trunk
        if size in self._resized:
            return self._resized[size]
        shared = {id(tensor): tensor for tensor in (*trunk.parameters(), *trunk.buffers())}
        # timm puts resized positions in the place of the old ones, and never writes into those.
        with torch.inference_mode(False):
            resized = copy.deepcopy(trunk, shared)
            resized.set_input_size(img_size=size)
            resized.eval().to(images.device, images.dtype)
        if len(self._resized) == _KEPT_SIZES:
            self._resized.pop(next(iter(self._resized)))
        self._resized[size] = resized
        return self._resized[size]

    def _refuse(self, mask: torch.Tensor | None) -> None:
        if mask is not None:
            raise ValueError(
                f"a {type(self.visual.trunk).__name__} cannot leave padding out; use fit "
                "'stretch' or 'native'"
            )
