"""Which places of a picture speak for a text or an answer.

For towers with a feature map: Grad-CAM (Selvaraju et al., arXiv 1610.02391) on the map before the
pooling. For ViTs: relevance that attention passes on (Chefer et al., arXiv 2103.15679, equations 5
and 6 for self-attention), which CLIP-ViL's notebook shows as well.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from encoders.clip import ClipEncoder
from encoders.precision import matmul_precision
from encoders.preparation import Fit, PreparedBatch
from encoders.towers.vit_tower import ViTTower, run_block

# Makes one number, to be explained, of features: pooled (1, D) or grid (1, h, w, C).
Score = Callable[[torch.Tensor], torch.Tensor]
# From cold to hot: dark blue, cyan, yellow, red.
_COLOURS = np.array([[20, 20, 120], [0, 190, 220], [250, 220, 40], [220, 20, 20]], np.float32)


class Explanation(NamedTuple):
    """What speaks for a score.

    Attributes:
        heat: (h, w) float32 of places, from 0 to 1; 0 everywhere if nothing speaks for it.
        picture: (H, W, 3) uint8, as the encoder saw it.
        score: The number that is explained.
    """

    heat: np.ndarray
    picture: np.ndarray
    score: float


def text_score(encoder: ClipEncoder, text: str) -> Score:
    """Cosine between a picture's pooled features and a text."""
    vector = torch.from_numpy(encoder.text([text])[0]).to(encoder.device)
    return lambda pooled: F.normalize(pooled.float(), dim=-1)[0] @ vector


def explain(
    encoder: ClipEncoder,
    image: Image.Image | np.ndarray,
    score: Score,
    of: Literal["pooled", "grid"] = "pooled",
    size: tuple[int, int] | None = None,
    fit: Fit = "own",
) -> Explanation:
    """Find the places of a picture that a score comes from.

    Args:
        encoder: Best in float32: gradients of bfloat16 are coarse.
        image: RGB.
        score: See `text_score`; for an answer, what a model makes of the grid.
        of: Whether the score takes pooled features or the grid.
        size: As `ClipEncoder.pooled` takes it.
        fit: The same.

    Raises:
        ValueError: The tower's attention cannot be looked into.
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
    return Explanation(heat / (heat.max() or 1), _seen(encoder, batch), value)


def overlay(picture: Image.Image | np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay heat over a picture: (H, W, 3) uint8, hot places red, cold ones as they are.

    Args:
        picture: RGB, of any size.
        heat: (h, w) from 0 to 1; stretched over the picture.
    """
    pixels = np.asarray(picture, np.float32)
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
    """Heat (h, w), not scaled, and the score."""
    with torch.no_grad():
        features = tower.features(pixels)
    features.requires_grad_()
    if of == "grid":
        value = score(tower.arrange(features, pixels))
    elif mask is None:
        value = score(tower.pool(features))
    else:
        value = score(tower.pool(features, mask))
    (gradient,) = torch.autograd.grad(value, features)
    places, gradient = (tower.arrange(x.detach(), pixels)[0] for x in (features, gradient))
    weights = gradient.mean((0, 1))  # of each channel
    return (places @ weights).relu(), value.item()


def _relevance(
    tower: ViTTower, pixels: torch.Tensor, mask: torch.Tensor | None, score: Score, of: str
) -> tuple[torch.Tensor, float]:
    """The same for a ViT."""
    visual = tower.visual
    if visual.attn_pool is not None:
        raise ValueError("explanations through an attentional pooler (CoCa) are not known")
    allowed = None if mask is None else F.pad(mask.flatten(1), (1, 0), value=True)[:, None, None]
    maps: list[torch.Tensor] = []

    def watched(attention: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
        mixed, probabilities = _open_attention(attention, tokens, allowed)
        maps.append(probabilities)
        return mixed

    x = tower.embed(pixels).detach().requires_grad_()
    for block in visual.transformer.resblocks:
        if not isinstance(block.attn, nn.MultiheadAttention):
            raise ValueError("the attention of this ViT's blocks cannot be looked into")
        x = run_block(block, x, attention=watched)
    value = score(tower.arrange(x, pixels) if of == "grid" else tower.pool(x, mask))
    *gradients, last = torch.autograd.grad(value, [*maps, x], allow_unused=True)
    length = x.shape[1]
    relevance = torch.eye(length, device=x.device)
    for probabilities, gradient in zip(maps, gradients, strict=True):
        if gradient is not None:  # None where the score reads no attention of the block
            passed = (gradient * probabilities)[0].float().clamp(min=0).mean(0)  # over heads
            relevance = relevance + passed @ relevance
    if of == "pooled" and visual.pool_type == "tok":
        heat = relevance[0, 1:]
    else:  # what each place that is read speaks for
        share = (last * x)[0, 1:].sum(-1).float().clamp(min=0)
        heat = share @ relevance[1:, 1:]
    return heat.detach().unflatten(0, tower.grid_shape(pixels)), value.item()


def _open_attention(
    attention: nn.MultiheadAttention, tokens: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """`encoders.towers.attention.self_attention`, and its probabilities (N, heads, L, L)."""
    heads = attention.num_heads
    qkv = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in qkv.chunk(3, -1))
    logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if mask is not None:
        logits = logits.masked_fill(~mask, -torch.inf)
    probabilities = logits.softmax(-1)
    mixed = (probabilities @ value).transpose(1, 2).flatten(2)
    return attention.out_proj(mixed), probabilities


def _seen(encoder: ClipEncoder, batch: PreparedBatch) -> np.ndarray:
    """The picture (H, W, 3) uint8 that a batch of one holds."""
    mean, std = (np.array(encoder.preprocessing[name]) for name in ("mean", "std"))
    pixels = batch.pixels[0].permute(1, 2, 0).numpy() * std + mean
    return np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
