"""Contrastive training of a small CLIP on pictures and sentences of which the truth is known.

CLIP's own loss takes every sentence but one for wrong. Sentences made by templates repeat, and one
that was written for a picture often fits others too; here each pair of a batch is true, false, or
not to be judged, and each true pair is told apart from the false ones only.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from encoders.local_dir import WEIGHTS_FILE, write_local_dir

_LARGEST_SCALE = math.log(100)  # CLIP section 2.5: logits never scaled by more than 100


@dataclass(frozen=True, eq=False)
class Batch:
    """B pictures, T different sentences and what is known of each pair.

    Attributes:
        images: (B, 3, H, W) float32 RGB in 0..1.
        texts: T sentences.
        true: (B, T) bool.
        false: (B, T) bool; a pair that is neither has no part in the loss.
    """

    images: torch.Tensor
    texts: list[str]
    true: torch.Tensor
    false: torch.Tensor


@dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    learning_rate: float = 1e-3
    """Peak of the schedule: a linear rise, then half a cosine down to zero."""
    warmup: float = 0.05
    """Fraction of the steps for the rise."""
    weight_decay: float = 0.05
    """For matrices and kernels; not for biases, norms and embeddings."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm."""


def multi_positive_loss(
    logits: torch.Tensor, true: torch.Tensor, false: torch.Tensor
) -> torch.Tensor:
    """Mean over true pairs of -log(p / (p + sum of the false ones)), by rows and by columns.

    With one true pair in each row and column and all others false this is CLIP's loss.

    Args:
        logits: (B, T) scaled similarities.
        true: (B, T) bool.
        false: (B, T) bool.

    Returns:
        A scalar; 0 if no pair is true.
    """
    losses = []
    for axis in (1, 0):
        rivals = logits.masked_fill(~false, -torch.inf).logsumexp(axis, keepdim=True)
        pairs = F.softplus(rivals - logits)  # (B, T)
        # Every row counts the same, however many sentences are true of it.
        counts = true.sum(axis)
        means = (pairs * true).sum(axis) / counts.clamp(min=1)
        losses.append(means.sum() / (counts > 0).sum().clamp(min=1))
    return (losses[0] + losses[1]) / 2


def train_clip(
    model: Any,
    tokenize: Callable[[list[str]], torch.Tensor],
    batches: Iterable[Batch],
    steps: int,
    config: TrainConfig | None = None,
) -> Iterator[dict[str, float]]:
    """Train a CLIP in place, yielding the figures of each step.

    Args:
        model: An open_clip model; its `visual.image_mean` and `image_std` normalise the pictures.
        tokenize: The model's tokenizer.
        batches: At least `steps` of them.
        steps: Gradient steps.
        config: Defaults to `TrainConfig()`.

    Yields:
        `step`, `loss`, `scale` (of the logits), `learning_rate`, `true_share` (of judged pairs).

    Raises:
        FloatingPointError: The loss is not finite.
    """
    config = config or TrainConfig()
    optimizer = _optimizer(model, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _schedule(step, steps, config.warmup)
    )
    mean = torch.tensor(model.visual.image_mean).view(3, 1, 1)
    std = torch.tensor(model.visual.image_std).view(3, 1, 1)
    model.train().to(memory_format=torch.channels_last)
    for step, batch in zip(range(steps), batches, strict=False):
        images = ((batch.images - mean) / std).contiguous(memory_format=torch.channels_last)
        image_features = model.encode_image(images, normalize=True)
        text_features = model.encode_text(tokenize(batch.texts), normalize=True)
        logits = model.logit_scale.exp() * image_features @ text_features.T
        loss = multi_positive_loss(logits, batch.true, batch.false)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {step} is {loss.item()}; lower the rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
        learning_rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, _LARGEST_SCALE)
        judged = (batch.true | batch.false).sum()
        yield {
            "step": step,
            "loss": loss.item(),
            "scale": model.logit_scale.exp().item(),
            "learning_rate": float(learning_rate),
            "true_share": (batch.true.sum() / judged).item(),
        }
    model.eval()


def scale_pooled_features(model: Any, factor: float) -> None:
    """Multiply the pooled features of a ModifiedResNet CLIP by a factor, through its weights.

    Directions, and with them all similarities, stay; a network that reads the features gets them
    in a range that suits it.
    """
    projection = model.visual.attnpool.c_proj
    with torch.no_grad():
        projection.weight.mul_(factor)
        projection.bias.mul_(factor)


def export_local_dir(
    model: nn.Module,
    model_config: dict[str, Any],
    preprocess_config: dict[str, Any],
    folder: str | Path,
    words: Iterable[int] | None = None,
) -> int:
    """Write a model as an open_clip local directory with float16 weights.

    Args:
        model: The trained model.
        model_config: open_clip's `model_cfg` that it was built from.
        preprocess_config: open_clip's `preprocess_cfg`.
        folder: Made if it is missing; other files in it stay.
        words: Token ids that training has met. The embeddings of all others are still noise and
            are written as zeros, which compress well and disturb no sentence.

    Returns:
        Bytes of the weight file.
    """
    tensors = {}
    for name, tensor in model.state_dict().items():
        half = tensor.half() if tensor.is_floating_point() else tensor
        tensors[name] = half.clone()
    if words is not None:
        embedding = tensors["token_embedding.weight"]
        unknown = torch.ones(len(embedding), dtype=torch.bool)
        unknown[list(words)] = False
        embedding[unknown] = 0
    write_local_dir(folder, tensors, model_config, preprocess_config)
    return (Path(folder) / WEIGHTS_FILE).stat().st_size


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    decayed, free = [], []
    for name, weight in model.named_parameters():
        plain = weight.ndim < 2 or "embedding" in name
        (free if plain else decayed).append(weight)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), foreach=True)


def _schedule(step: int, steps: int, warmup: float) -> float:
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
