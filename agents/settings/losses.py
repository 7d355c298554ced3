"""Settings of the losses of agents: imitation, reinforcement and back-translation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.training.settings import check_counts, check_effects, check_numbers

Feedback = Literal["teacher", "sample", "mixed"]
ExpertKind = Literal["spl", "ndtw"]


@dataclass(frozen=True)
class ReinforcementConfig:
    """Advantage actor-critic (A2C).

    Its episodes are the second minibatch of each iteration; a frontier agent uses the episodes of
    imitation.
    """

    weight: float = 0.0
    """Weight of the A2C loss; 0 turns it off."""
    discount: float = 0.9
    """Discount factor of the rewards."""
    value: float = 0.5
    """Coefficient of the critic's squared error."""
    entropy: float = 0.01
    """Coefficient of the entropy bonus."""

    def __post_init__(self) -> None:
        check_numbers(self, ("weight", "value", "entropy"), "reinforcement.")
        check_numbers(self, ("discount",), "reinforcement.", most=1)
        if not self.weight:
            names = ("discount", "value", "entropy")
            reason = "with --reinforcement.weight 0"
            check_effects(self, dict.fromkeys(names, reason), part="reinforcement.")


@dataclass(frozen=True)
class BackTranslationConfig:
    """Back-translation: sampled paths with instructions that a speaker generates."""

    speaker: Path | None = None
    """Run of the speaker (clipnav train-speaker); turns back-translation on."""
    imitation_weight: float = 0.6
    """Weight of the imitation loss on the sampled paths."""
    paths: int = 20_000
    """Number of paths to sample in the training scans."""
    dropout: Literal["environment", "batch"] = "environment"
    """Scope of a feature dropout mask: one building, as in the EnvDrop paper, or the whole batch,
    as in its code. The rate is --follower.feature-dropout."""

    def __post_init__(self) -> None:
        check_counts(self, ("paths",), "back-translation.")
        check_numbers(self, ("imitation_weight",), "back-translation.")
