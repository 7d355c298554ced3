"""Settings of optimisers; without torch, so that ``--help`` answers at once."""

from dataclasses import dataclass
from typing import Literal

from training.settings import check_counts, check_numbers


@dataclass(frozen=True)
class OptimiserConfig:
    """How weights follow gradients."""

    name: Literal["adam", "adamw", "adamax", "rmsprop"] = "adam"
    """Update rule."""
    learning_rate: float = 1e-4
    """Step size at its highest."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of gradients and of their squares (not rmsprop)."""
    epsilon: float = 1e-8
    """Added to the root of the mean square."""
    weight_decay: float = 0.0
    """Decoupled weight decay (adamw only; no other update rule has any)."""
    schedule: Literal["constant", "steps", "cosine", "noam"] = "constant"
    """Learning rate after the warm-up; cosine ends at zero with the run, noam falls with the root
    of the iterations."""
    warmup: int = 0
    """Iterations of growth up to the learning rate, which the next one has; linear but for noam,
    where this one has it, and for stairs."""
    warmup_start: float = 0.0
    """Share of the learning rate that the first iteration has."""
    warmup_stairs: int = 0
    """Grow in so many equal stairs instead: S stairs have 1/(S+1) to S/(S+1) of the learning rate
    (openvqa: one an epoch)."""
    milestones: tuple[int, ...] = ()
    """Iterations at which the learning rate is multiplied by `decay` (steps)."""
    decay: float = 0.1
    """Factor at each milestone."""
    clip: Literal["none", "norm", "value"] = "none"
    """Whether the gradient's norm or each of its values is limited; of followers and speakers, that
    of encoder and decoder each, and not the critic's."""
    clip_at: float = 1.0
    """The limit."""

    def __post_init__(self) -> None:
        rates = ("learning_rate", "epsilon", "weight_decay", "decay", "clip_at")
        check_numbers(self, rates, "optimiser.")
        check_numbers(self, ("warmup_start",), "optimiser.", most=1)
        check_counts(self, ("warmup",), "optimiser.", least=0)
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"--optimiser.betas {self.betas}: each is at least 0 and below 1")
        if self.weight_decay and self.name != "adamw":
            raise ValueError(
                f"--optimiser.weight-decay {self.weight_decay:g} has no effect with "
                f"--optimiser.name {self.name}: choose adamw, or leave it at 0"
            )
        if self.schedule == "steps" and not self.milestones:
            raise ValueError(
                "--optimiser.schedule steps changes nothing without --optimiser.milestones: name "
                "the iterations, or choose constant"
            )

    def idle(self) -> dict[str, str]:
        """Names of settings that have no effect beside the others, and why."""
        idle: dict[str, str] = {}
        if self.name == "rmsprop":
            idle["betas"] = "with --optimiser.name rmsprop"
        if self.schedule != "steps":
            names, reason = ("milestones", "decay"), f"with --optimiser.schedule {self.schedule}"
            idle |= dict.fromkeys(names, reason)
        if not self.warmup:
            names = ("warmup_start", "warmup_stairs")
            idle |= dict.fromkeys(names, "without --optimiser.warmup")
        elif self.schedule == "noam":
            names = ("warmup_start", "warmup_stairs")
            idle |= dict.fromkeys(names, "with --optimiser.schedule noam")
        elif self.warmup_stairs:
            idle["warmup_start"] = "with --optimiser.warmup-stairs"
        if self.clip == "none":
            idle["clip_at"] = "with --optimiser.clip none"
        return idle
