"""Interface between the training loop and what it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from training.checkpoints import Network, load_model, save_model

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


class Optimiser(Protocol):
    """What the training loop requires of an optimiser; those of torch conform."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of weights whose learning rate "lr" the training loop sets."""
        ...

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Delete all gradients."""
        ...

    def step(self) -> object:
        """Update the weights once."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state that is required to resume."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the result of `state_dict`."""
        ...


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
    def clipped(self) -> Sequence[nn.Module]:
        """Modules whose gradients are clipped separately."""
        ...

    @property
    def optimiser(self) -> Optimiser:
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


class SavedNetwork:
    """Part of a learner whose whole network is saved.

    Attributes:
        network: All trained weights.
        metadata: Metadata of the saved weights.
    """

    network: Network
    metadata: Mapping[str, str]

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights to `model.safetensors`."""
        save_model(run, self.network, {**self.metadata, "iteration": str(iteration)})

    def load_model(self, run: Path) -> None:
        """Load the weights of a run."""
        load_model(run, self.network, self.metadata)
