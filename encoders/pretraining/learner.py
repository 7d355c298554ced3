"""Pre-training of CLIP's towers with any objective, as a learner of the training loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from clipnav.training.checkpoints import Network, save_model
from clipnav.training.learners import Summary
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.optimisers import make_group_optimiser


class Objective(Network, Protocol):
    """A training objective: a module that contains all trained weights."""

    def loss(self, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a batch, and further figures to log."""
        ...

    def constrain(self) -> None:
        """Project weights onto their bounds; called after each update."""
        ...


class EncoderLearner:
    """Learner of an objective; keeps the latest weights.

    An update uses no random numbers besides those of its batch.
    """

    selection = None

    def __init__(
        self,
        objective: Any,
        batch: Callable[[int], Any],
        config: OptimiserConfig,
    ) -> None:
        self._objective: Objective = objective
        self._batch = batch
        self.network: nn.Module = objective.to(memory_format=torch.channels_last)
        self.metadata: dict[str, str] = {}
        self.clipped = [self.network]
        # Not fused, so that the weights are those that earlier versions computed.
        self.optimiser = make_group_optimiser(weight_groups(self.network), config, fused=False)
        self.optimiser.register_step_post_hook(lambda *_: self._objective.constrain())

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch and return the figures to log."""
        loss, figures = self._objective.loss(self._batch(iteration))
        loss.backward()
        return {"loss": loss.item(), **figures}

    def evaluate(self) -> dict[str, Summary]:
        """Return no summaries, because the latest weights are kept."""
        return {}

    def start(self, run: Path) -> None:
        """Write nothing besides settings and weights."""

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights of the objective."""
        save_model(run, self._objective, {"iteration": str(iteration)})


def as_images(views: np.ndarray) -> torch.Tensor:
    """Convert views (B, H, W, 3) uint8 to images (B, 3, H, W) float32 in 0..1."""
    return torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255


def image_features(visual: Any, images: torch.Tensor, half: bool = False) -> torch.Tensor:
    """Compute pooled features (B, D) float32 with an open_clip image tower.

    Args:
        images: (B, 3, H, W) in 0..1.
    """
    mean = torch.tensor(visual.image_mean).view(3, 1, 1)
    std = torch.tensor(visual.image_std).view(3, 1, 1)
    normalised = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        features = visual(normalised)
    return features.float()


def weight_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Group weights for an optimiser: biases, norms and embeddings have no weight decay."""
    decayed, undecayed = [], []
    for name, weight in network.named_parameters():
        without_decay = weight.ndim < 2 or "embedding" in name
        (undecayed if without_decay else decayed).append(weight)
    return [{"params": decayed}, {"params": undecayed, "weight_decay": 0.0}]
