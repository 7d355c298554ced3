"""What a training run needs of whatever it trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

Summary = dict[str, float]


class Learner(Protocol):
    """Networks, the gradient of an iteration and their evaluation."""

    @property
    def network(self) -> nn.Module:
        """All that is learnt."""
        ...

    @property
    def metric(self) -> str:
        """Which of the figures of `evaluate` chooses the best weights, larger ones."""
        ...

    @property
    def clipped(self) -> list[nn.Module]:
        """Parts whose gradient may be limited, each on its own."""
        ...

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Over all weights of the network."""
        ...

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of an iteration (from 0); returns what to log, `loss` among it."""
        ...

    def evaluate(self) -> Mapping[str, Summary]:
        """Summaries by split; also of parts of a split, under names of their own."""
        ...

    def start(self, run: Path) -> None:
        """Write what a fresh run's folder holds besides settings and weights."""
        ...

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights to use."""
        ...
