"""Image networks of released agents: DD-PPO's for depth, torchvision's ResNet-50 for colour."""

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTH_CELLS = 16  # cells of a depth network's result, in 4 rows


def _convolution(inputs: int, outputs: int, size: int = 1, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, planes: int, groups: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * planes
        self.convs = nn.Sequential(
            *(_convolution(inputs, planes), nn.GroupNorm(groups, planes), nn.ReLU()),
            *(_convolution(planes, planes, 3, stride), nn.GroupNorm(groups, planes), nn.ReLU()),
            *(_convolution(planes, outputs), nn.GroupNorm(groups, outputs)),
        )
        self.downsample = None
        if inputs != outputs:
            first = _convolution(inputs, outputs, 1, stride)
            self.downsample = nn.Sequential(first, nn.GroupNorm(groups, outputs))

    def forward(self, x: Tensor) -> Tensor:
        beside = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.convs(x) + beside)


class DdppoDepthNetwork(nn.Module):
    """Depth network of DD-PPO's PointNav agents: a ResNet-50 with group norms, kept frozen.

    Wijmans et al. (ICLR 2020); its weights have the names of `habitat_baselines/rl/ddppo/policy`.
    """

    features = 2048

    def __init__(self, planes: int = 32) -> None:
        super().__init__()
        groups, inputs = planes // 2, planes
        self.backbone = nn.Sequential()
        first = (nn.Conv2d(1, planes, 7, 2, 3, bias=False), nn.GroupNorm(groups, planes), nn.ReLU())
        self.backbone.add_module("conv1", nn.Sequential(*first))
        self.backbone.add_module("maxpool", nn.MaxPool2d(3, 2, 1))
        for number, blocks in enumerate((3, 4, 6, 3)):
            layer = nn.Sequential()
            for block in range(blocks):
                stride = 2 if number and not block else 1
                layer.append(_Bottleneck(inputs, planes << number, groups, stride))
                inputs = 4 * (planes << number)
            self.backbone.add_module(f"layer{number + 1}", layer)
        channels = self.features // DEPTH_CELLS
        self.compression = nn.Sequential(
            _convolution(inputs, channels, 3), nn.GroupNorm(1, channels), nn.ReLU()
        )
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, depth: Tensor) -> Tensor:
        """Return features (B, T, 2048) of depth pictures (B, T, 256, 256) in 0..1."""
        pictures = functional.avg_pool2d(depth.flatten(0, 1)[:, None], 2)
        return self.compression(self.backbone(pictures)).flatten(1).unflatten(0, depth.shape[:2])


class ColourNetwork(nn.Module):
    """ResNet-50 of torchvision without its last two layers, kept frozen."""

    def __init__(self) -> None:
        super().__init__()
        # open_clip depends on torchvision; only released predictors need it here.
        from torchvision.models import resnet50

        for name, part in list(resnet50().named_children())[:-2]:
            self.add_module(name, part)
        # ImageNet's
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]), persistent=False)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, rgb: Tensor) -> Tensor:
        """Return features (B, T, 2048 * 7 * 7) of pictures (B, T, 224, 224, 3) uint8."""
        mean, deviation = self.get_buffer("mean"), self.get_buffer("deviation")
        x = ((rgb.flatten(0, 1) / 255 - mean) / deviation).permute(0, 3, 1, 2)
        for part in self.children():
            x = part(x)
        return x.flatten(1).unflatten(0, rgb.shape[:2])
