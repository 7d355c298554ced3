"""Contrastive training of a small CLIP on pictures and sentences of which the truth is known.

CLIP's own loss takes every sentence but one for wrong. Sentences made by templates repeat, and one
that was written for a picture often fits others too; here each pair of a batch is true, false, or
not to be judged, and each true pair is told apart from the false ones only.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from encoders.pretraining.schedules import image_features
from encoders.weights.local_dir import WEIGHTS_FILE, write_local_dir

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


class Contrastive(nn.Module):
    """A whole CLIP, learning which sentences are true of which pictures.

    Args:
        model: An open_clip model; its `visual.image_mean` and `image_std` normalise the pictures.
        tokenize: The model's tokenizer.
        half: Run both towers in bfloat16.

    Attributes:
        words: Token ids that training has met.
    """

    def __init__(
        self, model: Any, tokenize: Callable[[list[str]], torch.Tensor], half: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.words: set[int] = set()
        self._tokenize = tokenize
        self._half = half

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """See `multi_positive_loss`; logs the scale of the logits and the true share of pairs."""
        model = self.model
        tokens = self._tokenize(batch.texts)
        self.words.update(tokens.unique().tolist())
        features = image_features(model.visual, batch.images, self._half)
        features = F.normalize(features, dim=-1)
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=self._half):
            text_features = model.encode_text(tokens)
        text_features = F.normalize(text_features.float(), dim=-1)
        scale = model.logit_scale.exp()
        loss = multi_positive_loss(scale * features @ text_features.T, batch.true, batch.false)
        judged = (batch.true | batch.false).sum()
        return loss, {"scale": scale.item(), "true_share": (batch.true.sum() / judged).item()}

    @torch.no_grad()
    def constrain(self) -> None:
        """Keep the scale of the logits within CLIP's bounds."""
        self.model.logit_scale.clamp_(0, _LARGEST_SCALE)

    def get_extra_state(self) -> dict[str, Any]:
        """The words, which belong to the state of training."""
        return {"words": sorted(self.words)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take up `get_extra_state`."""
        self.words = set(state["words"])


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
