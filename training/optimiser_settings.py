"""Settings of optimisers; without torch, so that ``--help`` answers at once."""

from dataclasses import dataclass
from typing import Literal


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
    """Decoupled weight decay (adamw only)."""
    schedule: Literal["constant", "steps", "cosine", "noam"] = "constant"
    """Learning rate after the warm-up; cosine ends at zero with the run, noam falls with the root
    of the iterations."""
    warmup: int = 0
    """Iterations of linear growth up to the learning rate."""
    warmup_start: float = 0.0
    """Share of the learning rate at which the growth begins."""
    milestones: tuple[int, ...] = ()
    """Iterations at which the learning rate is multiplied by `decay` (steps)."""
    decay: float = 0.1
    """Factor at each milestone."""
    clip: Literal["none", "norm", "value"] = "none"
    """Whether the gradient's norm or each of its values is limited; of followers and speakers, that
    of encoder and decoder each, and not the critic's."""
    clip_at: float = 1.0
    """The limit."""
