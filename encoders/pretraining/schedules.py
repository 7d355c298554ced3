"""The training loop of CLIP's towers for any objective: optimiser, schedule, resumable steps."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch import nn


@dataclass(frozen=True)
class PretrainingConfig:
    """Optimiser and learning-rate schedule of a pre-training."""

    learning_rate: float = 1e-3
    """Peak learning rate; the schedule is a linear warm-up, then a cosine decay to zero."""
    warmup: float = 0.05
    """Fraction of the steps used for the warm-up."""
    weight_decay: float = 0.05
    """Weight decay of matrices and kernels; biases, norms and embeddings have none."""
    gradient_norm: float = 1.0
    """Maximum norm of the gradient."""


class Objective(Protocol):
    """A training objective: a module that contains all trained weights."""

    def loss(self, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of a batch, and further figures to log."""
        ...

    def constrain(self) -> None:
        """Project weights onto their bounds; called after each step."""
        ...


class Pretraining:
    """Training of an objective.

    The loop uses no random numbers: with the same batches a resumed training ends with the same
    weights as an uninterrupted one, bit for bit on a CPU.

    Args:
        objective: An `nn.Module` that implements `Objective`; trained in place.
        steps: Total number of gradient steps.
        config: Optimiser and schedule; defaults to `PretrainingConfig()`.

    Attributes:
        step: Number of completed gradient steps.
    """

    def __init__(self, objective: Any, steps: int, config: PretrainingConfig | None = None) -> None:
        self.config = config or PretrainingConfig()
        self.steps = steps
        self.step = 0
        self._objective = objective.train().to(memory_format=torch.channels_last)
        self._optimizer = make_optimizer(objective, self.config)

    def run(self, batches: Iterable[Any]) -> Iterator[dict[str, float]]:
        """Train to the end and yield the figures of each step.

        Args:
            batches: At least as many batches as steps remain, from index `step` on.

        Yields:
            `step`, `loss`, `learning_rate`, and the figures of the objective.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        for batch in islice(batches, self.steps - self.step):
            loss, figures = self._objective.loss(batch)
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"the loss of step {self.step} is {loss.item()}; lower --learning-rate"
                )
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._objective.parameters(), self.config.gradient_norm)
            rate = self.config.learning_rate * schedule(self.step, self.steps, self.config.warmup)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
            self._objective.constrain()
            self.step += 1
            yield {"step": self.step - 1, "loss": loss.item(), "learning_rate": rate, **figures}
        self._objective.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that is required to resume."""
        return {
            "step": self.step,
            "weights": self._objective.state_dict(),
            "optimiser": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of `state_dict`."""
        self._objective.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimiser"])
        self.step = state["step"]


def image_features(visual: Any, images: torch.Tensor, half: bool = False) -> torch.Tensor:
    """Compute pooled features (B, D) float32 with an open_clip image tower.

    Args:
        visual: The tower; its `image_mean` and `image_std` normalise the images.
        images: (B, 3, H, W) in 0..1.
        half: Whether to multiply in bfloat16, which halves the time on CPUs that support it.
    """
    mean = torch.tensor(visual.image_mean).view(3, 1, 1)
    std = torch.tensor(visual.image_std).view(3, 1, 1)
    normalised = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        features = visual(normalised)
    return features.float()


def make_optimizer(objective: nn.Module, config: PretrainingConfig) -> torch.optim.Optimizer:
    """Build AdamW without weight decay for biases, norms and embeddings."""
    decayed, undecayed = [], []
    for name, weight in objective.named_parameters():
        without_decay = weight.ndim < 2 or "embedding" in name
        (undecayed if without_decay else decayed).append(weight)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), foreach=True)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of a step as a fraction of its peak."""
    warmup_steps = max(1, round(warmup * steps))
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    decay_steps = max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / decay_steps))
