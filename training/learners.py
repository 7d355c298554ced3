"""Interface between the training loop and what it trains."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

Summary = dict[str, float]


@dataclass(frozen=True)
class Selection:
    """Score of `Learner.evaluate` whose maximum selects the best weights.

    Attributes:
        split: Name of the split.
        metric: Name of the score in its summary.
    """

    split: str
    metric: str


class Learner(Protocol):
    """Networks, the gradient of an iteration, and evaluation."""

    @property
    def network(self) -> nn.Module:
        """All trained weights."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the saved weights, which must match when they are loaded."""
        ...

    @property
    def selection(self) -> Selection | None:
        """Selection of the best weights; None keeps the latest weights without evaluation."""
        ...

    @property
    def clipped(self) -> list[nn.Module]:
        """Modules whose gradients are clipped separately."""
        ...

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Optimiser of all weights of the network."""
        ...

    def backward(self, iteration: int) -> dict[str, float]:
        """Accumulate the gradient of an iteration (from 0); return figures to log, with `loss`."""
        ...

    def evaluate(self) -> Mapping[str, Summary]:
        """Return summaries by split; parts of a split may have separate names.

        Called only if there is a `selection`.
        """
        ...

    def start(self, run: Path) -> None:
        """Write the files of a new run other than settings and weights."""
        ...

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights to `model.safetensors`."""
        ...
