"""Heat maps of the image regions that support a text or an answer.

For towers with a feature map: Grad-CAM (Selvaraju et al., arXiv 1610.02391) on the map before
pooling. For ViTs: relevance propagated through attention (Chefer et al., arXiv 2103.15679,
equations 5 and 6 for self-attention), as in CLIP-ViL's notebook.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.precision import matmul_precision
from clipnav.encoders.preparation import Fit
from clipnav.encoders.towers.attention import allowed_keys
from clipnav.encoders.towers.vit_tower import ViTTower, run_block
from clipnav.storage.errors import UserError

# Maps features, pooled (1, D) or grid (1, h, w, C), to the scalar that is explained.
Score = Callable[[torch.Tensor], torch.Tensor]
# From low to high: dark blue, cyan, yellow, red.
_COLOURS = np.array([[20, 20, 120], [0, 190, 220], [250, 220, 40], [220, 20, 20]], np.float32)


class Explanation(NamedTuple):
    """Heat map of a score.

    Attributes:
        heat: (h, w) float32 by cell, from 0 to 1; 0 everywhere if no cell supports the score.
        image: (H, W, 3) uint8, the encoder's input.
        score: The explained score.
    """

    heat: np.ndarray
    image: np.ndarray
    score: float


def text_score(encoder: ClipEncoder, text: str) -> Score:
    """Return the score "cosine between pooled image features and a text"."""
    vector = torch.from_numpy(encoder.text([text])[0]).to(encoder.device)
    return lambda pooled: F.normalize(pooled.float(), dim=-1)[0] @ vector


def explain(
    encoder: ClipEncoder,
    image: Image.Image | np.ndarray,
    score: Score,
    of: Literal["pooled", "grid"] = "pooled",
    size: tuple[int, int] | None = None,
    fit: Fit = "center_crop",
) -> Explanation:
    """Compute the heat map of a score over an image.

    Args:
        encoder: Encoder, preferably in float32, because gradients in bfloat16 are coarse.
        image: RGB image.
        score: Score to explain: see `text_score`, or a model's score of an answer.
        of: Input of the score: pooled features or grid features.
        size: As in `ClipEncoder.pooled`.
        fit: As in `ClipEncoder.pooled`.

    Raises:
        UserError: The tower does not expose its attention probabilities, or does not support
            masked padding.
    """
    (batch,) = encoder.preparation.batches([image], size, fit)
    pixels, mask, real = encoder.prepared(batch, fit)
    tower: Any = encoder.tower
    with torch.enable_grad(), matmul_precision(encoder.precision):
        if isinstance(tower, ViTTower):
            heat, value = _relevance(tower, pixels, mask, score, of)
        else:
            heat, value = _grad_cam(tower, pixels, mask, score, of)
    heat = heat.float().cpu().numpy() * real[0]
    mean, std = (np.array(encoder.preprocessing[name]) for name in ("mean", "std"))
    shown = (batch.pixels[0].permute(1, 2, 0).numpy() * std + mean).clip(0, 1)
    return Explanation(heat / (heat.max() or 1), np.rint(255 * shown).astype(np.uint8), value)


def overlay(image: Image.Image | np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Blend a heat map over an image: (H, W, 3) uint8, high values in red, zeros unchanged.

    Args:
        heat: (h, w) from 0 to 1; stretched to the size of the image.
    """
    pixels = np.asarray(image, np.float32)
    height, width = pixels.shape[:2]
    stretched = Image.fromarray(heat.astype(np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    smooth = np.clip(np.asarray(stretched), 0, 1)
    steps = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(smooth, steps, _COLOURS[:, c]) for c in range(3)], axis=-1)
    opacity = 0.65 * smooth[..., None]
    return np.rint((1 - opacity) * pixels + opacity * colours).astype(np.uint8)


def _grad_cam(
    tower: Any, pixels: torch.Tensor, mask: torch.Tensor | None, score: Score, of: str
) -> tuple[torch.Tensor, float]:
    """Return the unscaled Grad-CAM heat map (h, w) and the score."""
    with torch.no_grad():
        features = tower.features(pixels)
    features.requires_grad_()
    value = score(tower.arrange(features, pixels) if of == "grid" else tower.pool(features, mask))
    (gradient,) = torch.autograd.grad(value, features)
    grid, gradient = (tower.arrange(x.detach(), pixels)[0] for x in (features, gradient))
    channel_weights = gradient.mean((0, 1))
    return (grid @ channel_weights).relu(), value.item()


def _relevance(
    tower: ViTTower, pixels: torch.Tensor, mask: torch.Tensor | None, score: Score, of: str
) -> tuple[torch.Tensor, float]:
    """Return the unscaled relevance map (h, w) of a ViT and the score."""
    visual = tower.visual
    if visual.attn_pool is not None:
        raise UserError(
            "explanations of a tower with an attentional pooler (CoCa) are not supported; use a "
            "plain ViT, or a ResNet"
        )
    allowed = None if mask is None else allowed_keys(mask)
    maps: list[torch.Tensor] = []

    def recorded(attention: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
        mixed, probabilities = _attention_with_probabilities(attention, tokens, allowed)
        maps.append(probabilities)
        return mixed

    x = tower.embed(pixels).detach().requires_grad_()
    for block in visual.transformer.resblocks:
        if not isinstance(block.attn, nn.MultiheadAttention):
            raise UserError(
                "this ViT does not expose its attention probabilities; use a plain ViT, or a ResNet"
            )
        x = run_block(block, x, attention=recorded)
    value = score(tower.arrange(x, pixels) if of == "grid" else tower.pool(x, mask))
    *gradients, last = torch.autograd.grad(value, [*maps, x], allow_unused=True)
    length = x.shape[1]
    relevance = torch.eye(length, device=x.device)
    for probabilities, gradient in zip(maps, gradients, strict=True):
        if gradient is not None:  # None where the score does not depend on the block's attention
            propagated = (gradient * probabilities)[0].float().clamp(min=0).mean(0)  # over heads
            relevance = relevance + propagated @ relevance
    if of == "pooled" and visual.pool_type == "tok":
        heat = relevance[0, 1:]
    else:  # weight the relevance of each output token by its contribution to the score
        share = (last * x)[0, 1:].sum(-1).float().clamp(min=0)
        heat = share @ relevance[1:, 1:]
    return heat.detach().unflatten(0, tower.grid_shape(pixels)), value.item()


def _attention_with_probabilities(
    attention: nn.MultiheadAttention, tokens: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute `clipnav.encoders.towers.attention.self_attention` and its probabilities."""
    heads = attention.num_heads
    qkv = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, -1))
    logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    probabilities = logits.softmax(-1)
    mixed = (probabilities @ value).transpose(1, 2).flatten(2)
    return attention.out_proj(mixed), probabilities
