"""Settings of optimisers; this module does not import torch, so that ``--help`` is fast."""

from dataclasses import dataclass
from typing import Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_numbers, check_positive


@dataclass(frozen=True)
class OptimiserConfig:
    """Settings of the optimiser and its learning rate schedule."""

    name: Literal["adam", "adamw", "adamax", "rmsprop"] = "adam"
    """Optimiser."""
    learning_rate: float = 1e-4
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the running means of gradients and squared gradients (not for rmsprop)."""
    epsilon: float = 1e-8
    """Term added to the denominator for numerical stability."""
    weight_decay: float = 0.0
    """Decoupled weight decay; requires adamw."""
    schedule: Literal["constant", "steps", "cosine", "linear", "open_clip", "noam"] = "constant"
    """Learning rate schedule after the warm-up; cosine and linear decay to zero at the end of the
    run, noam decays with the inverse square root of the iteration. open_clip is a cosine that
    starts after the warm-up, as in open_clip's training."""
    warmup: int = 0
    """Number of warm-up iterations. The warm-up is linear, except with warmup-stairs; the first
    iteration after it has the full learning rate (with noam and open_clip, the last iteration of
    it)."""
    warmup_start: float = 0.0
    """Fraction of the learning rate in the first iteration."""
    warmup_stairs: int = 0
    """Number of equal steps of the warm-up, instead of a linear one: S steps have 1/(S+1) to
    S/(S+1) of the learning rate (openvqa: one per epoch)."""
    milestones: tuple[int, ...] = ()
    """Iterations at which the learning rate is multiplied by `decay` (schedule steps)."""
    decay: float = 0.1
    """Factor at each milestone."""
    clip: Literal["none", "norm", "value"] = "none"
    """Gradient clipping, by norm or by value; followers and speakers clip encoder and decoder
    separately, and never the critic."""
    clip_at: float = 1.0
    """Limit of gradient clipping."""

    def __post_init__(self) -> None:
        rates = ("learning_rate", "epsilon", "weight_decay", "decay", "clip_at")
        check_numbers(self, rates, "optimiser.")
        check_numbers(self, ("warmup_start",), "optimiser.", most=1)
        check_counts(self, ("warmup", "warmup_stairs"), "optimiser.", least=0)
        check_positive(self, ("learning_rate",), "optimiser.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"--optimiser.betas {self.betas}: each must be at least 0 and below 1")
        if self.weight_decay and self.name != "adamw":
            raise UserError(
                f"--optimiser.weight-decay {self.weight_decay:g} has no effect with "
                f"--optimiser.name {self.name}; choose adamw, or use 0"
            )
        if self.schedule == "steps" and not self.milestones:
            raise UserError(
                "--optimiser.schedule steps requires --optimiser.milestones; name the iterations, "
                "or choose constant"
            )

    def idle(self) -> dict[str, str]:
        """Return the names of settings that the other settings make ineffective, and why."""
        idle: dict[str, str] = {}
        if self.name == "rmsprop":
            idle["betas"] = "with --optimiser.name rmsprop"
        if self.schedule != "steps":
            names, reason = ("milestones", "decay"), f"with --optimiser.schedule {self.schedule}"
            idle |= dict.fromkeys(names, reason)
        if not self.warmup:
            names = ("warmup_start", "warmup_stairs")
            idle |= dict.fromkeys(names, "without --optimiser.warmup")
        elif self.schedule in ("noam", "open_clip"):
            names = ("warmup_start", "warmup_stairs")
            idle |= dict.fromkeys(names, f"with --optimiser.schedule {self.schedule}")
        elif self.warmup_stairs:
            idle["warmup_start"] = "with --optimiser.warmup-stairs"
        if self.clip == "none":
            idle["clip_at"] = "with --optimiser.clip none"
        return idle
