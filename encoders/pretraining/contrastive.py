"""Contrastive training of a small CLIP on views and captions with known truth values.

The CLIP loss treats every other caption as a negative. Template captions repeat, and a caption
written for one view is often true of others. Here each pair of a batch is true, false or undecided,
and a true pair is contrasted with false pairs only.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from clipnav.encoders.pretraining.learner import image_features
from clipnav.encoders.weights.weight_files import WEIGHTS_FILE, write_local_dir

_LARGEST_SCALE = math.log(100)  # CLIP section 2.5: logits never scaled by more than 100


@dataclass(frozen=True, eq=False)
class CaptionBatch:
    """B views, T distinct captions, and the truth value of each pair.

    Attributes:
        images: (B, 3, H, W) float32 RGB in 0..1.
        texts: T captions.
        true: (B, T) bool.
        false: (B, T) bool; pairs that are neither true nor false are excluded from the loss.
    """

    images: torch.Tensor
    texts: list[str]
    true: torch.Tensor
    false: torch.Tensor


class Contrastive(nn.Module):
    """Contrastive objective that trains both towers of a CLIP.

    Attributes:
        seen: (V,) bool, True for the token ids that occurred in training.
    """

    seen: torch.Tensor

    def __init__(
        self, model: Any, tokenize: Callable[[list[str]], torch.Tensor], half: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("seen", torch.zeros(model.vocab_size, dtype=torch.bool))
        self._tokenize = tokenize
        self._half = half

    @property
    def architecture(self) -> dict[str, str]:
        """Objective, as metadata of the weights."""
        return {"objective": "contrastive"}

    @property
    def words(self) -> list[int]:
        """Token ids that occurred in training."""
        return self.seen.nonzero()[:, 0].tolist()

    def loss(self, batch: CaptionBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return `multi_positive_loss`, the scale of the logits and the share of true pairs."""
        model = self.model
        tokens = self._tokenize(batch.texts)
        self.seen[tokens.unique()] = True
        features = image_features(model.visual, batch.images, self._half)
        features = F.normalize(features, dim=-1)
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self._half):
            text_features = model.encode_text(tokens)
        text_features = F.normalize(text_features.float(), dim=-1)
        scale = model.logit_scale.exp()
        loss = multi_positive_loss(scale * features @ text_features.T, batch.true, batch.false)
        decided = (batch.true | batch.false).sum()
        return loss, {"scale": scale.item(), "true_share": (batch.true.sum() / decided).item()}

    @torch.no_grad()
    def constrain(self) -> None:
        """Clip the scale of the logits to CLIP's bounds."""
        self.model.logit_scale.clamp_(0, _LARGEST_SCALE)


def multi_positive_loss(
    logits: torch.Tensor, true: torch.Tensor, false: torch.Tensor
) -> torch.Tensor:
    """Average -log(p / (p + sum of the false pairs)) over true pairs, by rows and by columns.

    With one true pair in each row and column and all other pairs false this is CLIP's loss.

    Args:
        logits: (B, T) scaled similarities.
        true: (B, T) bool.
        false: (B, T) bool.
    """
    losses = []
    for axis in (1, 0):
        rivals = logits.masked_fill(~false, -torch.inf).logsumexp(axis, keepdim=True)
        pairs = F.softplus(rivals - logits)  # (B, T)
        # Every row has the same weight, however many of its pairs are true.
        counts = true.sum(axis)
        means = (pairs * true).sum(axis) / counts.clamp(min=1)
        losses.append(means.sum() / (counts > 0).sum().clamp(min=1))
    return (losses[0] + losses[1]) / 2


def scale_pooled_features(model: Any, factor: float) -> None:
    """Multiply the pooled features of a ModifiedResNet CLIP by a factor, by scaling its weights.

    Directions and cosine similarities do not change.
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
    """Write a model as a folder in open_clip's local-dir format with float16 weights.

    Args:
        words: Token ids that occurred in training. The embeddings of all other ids are still
            random; they are written as zeros, which compress well.

    Returns:
        Size of the weight file in bytes.
    """
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    if words is not None:
        embedding = tensors["token_embedding.weight"]
        known = torch.zeros(len(embedding), 1, dtype=torch.bool)
        known[list(words)] = True
        tensors["token_embedding.weight"] = embedding.where(known, 0)
    write_local_dir(folder, tensors, model_config, preprocess_config)
    return (Path(folder) / WEIGHTS_FILE).stat().st_size
