"""Features of places within a picture: what CLIP's image towers know before they pool.

Grid features are the last feature map of the tower, which CLIP-ViL feeds to its VQA models (arXiv
2107.06383, section 4.1). Dense features are the same places in the space that images and texts
share (MaskCLIP, arXiv 2112.01071: the pooling attention keeps its value projection only), so that
each place can be compared with a sentence.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def grid_features(visual: Any, images: torch.Tensor) -> torch.Tensor:
    """Feature map of a batch.

    Args:
        visual: Image tower of an open_clip model: ModifiedResNet or VisionTransformer.
        images: (N, 3, H, W), normalised. A ModifiedResNet takes any size.

    Returns:
        (N, h, w, C): a ResNet's map after its last stage, or a transformer's patch tokens after
        its last layer norm.

    Raises:
        ValueError: The tower is of another kind.
    """
    if _is_resnet(visual):
        return _resnet_map(visual, images).permute(0, 2, 3, 1)
    return _patch_map(visual, visual.ln_post(_patch_tokens(visual, images, last_block=True)))


def dense_features(visual: Any, images: torch.Tensor) -> torch.Tensor:
    """Unit vectors of places in the space shared with texts.

    Args:
        visual: Image tower of an open_clip model: ModifiedResNet or VisionTransformer.
        images: (N, 3, H, W), normalised. A ModifiedResNet takes any size.

    Returns:
        (N, h, w, D).

    Raises:
        ValueError: The tower is of another kind.
    """
    if _is_resnet(visual):
        pool = visual.attnpool
        places = _resnet_map(visual, images).permute(0, 2, 3, 1)  # (N, h, w, C)
        return F.normalize(pool.c_proj(pool.v_proj(places)), dim=-1)
    tokens = _patch_tokens(visual, images, last_block=False)  # (N, h*w, C)
    tokens = visual.ln_post(_value_path(visual.transformer.resblocks[-1], tokens))
    return F.normalize(_patch_map(visual, tokens @ visual.proj), dim=-1)


def _is_resnet(visual: nn.Module) -> bool:
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer

    if not isinstance(visual, (ModifiedResNet, VisionTransformer)):
        raise ValueError(
            f"grid and dense features of a {type(visual).__name__} are not known; use an encoder "
            "with a ModifiedResNet or VisionTransformer image tower"
        )
    return isinstance(visual, ModifiedResNet)


def _resnet_map(visual: Any, images: torch.Tensor) -> torch.Tensor:
    x = visual.stem(images)
    for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = layer(x)
    return x  # (N, C, H // 32, W // 32)


def _patch_tokens(visual: Any, images: torch.Tensor, last_block: bool) -> torch.Tensor:
    """Patch tokens (N, h*w, C) after the last block, or before it."""
    height, width = images.shape[-2:]
    if (height, width) != tuple(visual.image_size):
        raise ValueError(
            f"a transformer tower takes {visual.image_size[0]} x {visual.image_size[1]} pictures, "
            f"not {height} x {width}; only ResNet towers take any size"
        )
    x = visual._embeds(images)  # (N, 1 + h*w, C)
    blocks = visual.transformer.resblocks
    for block in blocks if last_block else blocks[:-1]:
        x = block(x)
    return x[:, 1:]


def _value_path(block: Any, x: torch.Tensor) -> torch.Tensor:
    """A transformer block in which every token attends to itself only."""
    width = x.shape[-1]
    attention = block.attn
    value = F.linear(
        block.ln_1(x), attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    )
    x = x + block.ls_1(attention.out_proj(value))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def _patch_map(visual: Any, tokens: torch.Tensor) -> torch.Tensor:
    height, width = visual.grid_size
    return tokens.reshape(tokens.shape[0], height, width, tokens.shape[-1])
