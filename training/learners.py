"""Interface between the training loop and what it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import Network, load_model, save_model
from clipnav.training.settings import flag_text

Summary = dict[str, float]


@dataclass(frozen=True)
class Selection:
    """Score of `Learner.evaluate` whose maximum selects the best weights.

    Attributes:
        settings: Settings that determine how the score is computed, where they may change when a
            run is resumed.
    """

    split: str
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def describe(self, iteration: int, value: float) -> dict[str, Any]:
        """Return the description of the best weights: iteration, score and settings."""
        settings = {"settings": dict(self.settings)} if self.settings else {}
        return {"iteration": iteration, self.metric: value, **settings}

    def check_same_score(self, best: Mapping[str, Any], run: Path) -> None:
        """Check that the best score of a run was computed as the next ones will be.

        Args:
            best: Description of the best weights. Those of earlier versions have no settings, and
                are not checked.
        """
        before = best.get("settings", self.settings)
        for name, value in self.settings.items():
            if before.get(name, value) != value:
                flag = flag_text(name, before[name])
                raise UserError(
                    f"{flag_text(name, value)}: the best weights of {run} were selected with "
                    f"{flag}, and scores of the two do not compare; resume the run with {flag} "
                    "until it has finished"
                )


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
    """Part of a learner whose whole network is saved."""

    network: Network
    metadata: Mapping[str, str]

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights to `model.safetensors`."""
        save_model(run, self.network, {**self.metadata, "iteration": str(iteration)})

    def load_model(self, run: Path) -> None:
        """Load the weights of a run."""
        load_model(run, self.network, self.metadata)
