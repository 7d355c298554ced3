"""Loss of imitation in continuous environments."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.continuous.demonstrations import Demonstration
from clipnav.agents.continuous.layers import Output, Steps


class Batch(NamedTuple):
    """B demonstrations, padded to T steps.

    Attributes:
        ids: (B, L) int64 words.
        steps: Perceptions of all steps.
        labels: (B, T) int64 actions of the expert, -100 in padding.
        weights: (B, T) weights of the steps, 0 in padding.
        progress: (B, T) progress towards the goal.
    """

    ids: Tensor
    steps: Steps
    labels: Tensor
    weights: Tensor
    progress: Tensor


def make_batch(
    walks: Sequence[Demonstration], ids: np.ndarray, inflection_weight: float, device: str
) -> Batch:
    """Stack demonstrations.

    Args:
        ids: (B, L) words of their instructions.
        inflection_weight: Weight of a step whose label differs from the one before, and of the
            first step; other steps have weight 1.
    """

    def padded(name: str, value: float, kind: torch.dtype) -> Tensor:
        parts = [torch.from_numpy(np.asarray(getattr(walk, name))).to(kind) for walk in walks]
        return torch.nn.utils.rnn.pad_sequence(parts, True, value).to(device)

    labels = padded("labels", -100, torch.long)
    changes = torch.ones_like(labels, dtype=torch.bool)
    changes[:, 1:] = labels[:, 1:] != labels[:, :-1]
    weights = torch.where(changes, inflection_weight, 1.0).masked_fill(labels < 0, 0.0)
    steps = Steps(
        padded("rgb", 0, torch.float32),
        padded("depth", 0, torch.float32),
        padded("previous", 0, torch.long),
    )
    words = torch.from_numpy(ids).long().to(device)
    return Batch(words, steps, labels, weights, padded("progress", 0, torch.float32))


def imitation_loss(output: Output, batch: Batch) -> Tensor:
    """Return the mean over walks of the weighted mean cross entropy of each walk."""
    entropy = functional.cross_entropy(
        output.logits.flatten(0, 1), batch.labels.flatten(), reduction="none", ignore_index=-100
    ).view_as(batch.weights)
    weights = batch.weights
    return ((weights * entropy).sum(1) / weights.sum(1)).mean()


def progress_loss(output: Output, batch: Batch) -> Tensor:
    """Return the mean squared error of the predicted progress over all steps."""
    assert output.progress is not None
    mask = batch.labels >= 0
    return functional.mse_loss(output.progress[mask], batch.progress[mask])
