"""Training a CLIP's towers, whatever they are to learn, in steps that can be interrupted."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch import nn


@dataclass(frozen=True)
class TrainConfig:
    """How to train."""

    learning_rate: float = 1e-3
    """Peak of the schedule: a linear rise, then half a cosine down to zero."""
    warmup: float = 0.05
    """Fraction of the steps for the rise."""
    weight_decay: float = 0.05
    """For matrices and kernels; not for biases, norms and embeddings."""
    gradient_norm: float = 1.0
    """Gradients are scaled down to this norm."""


class Objective(Protocol):
    """What is learnt: a module with all weights that take part."""

    def loss(self, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss of a batch, and what else to log of it."""
        ...

    def constrain(self) -> None:
        """Bring weights back to where they may be after each step."""
        ...


class Pretraining:
    """An objective in training.

    Nothing is drawn at random here: with the same batches a training that is taken up again ends
    with the same weights, bit for bit on a CPU.

    Args:
        objective: An `nn.Module` that is an `Objective`; trained in place.
        steps: Gradient steps of the whole training.
        config: Defaults to `TrainConfig()`.

    Attributes:
        step: Gradient steps that are done.
    """

    def __init__(self, objective: Any, steps: int, config: TrainConfig | None = None) -> None:
        self.config = config or TrainConfig()
        self.steps = steps
        self.step = 0
        self._objective = objective.train().to(memory_format=torch.channels_last)
        self._optimizer = make_optimizer(objective, self.config)

    def run(self, batches: Iterable[Any]) -> Iterator[dict[str, float]]:
        """Train to the end, yielding the figures of each step.

        Args:
            batches: As many as there are steps left, from the one of number `step` on.

        Yields:
            `step`, `loss`, `learning_rate`, and what the objective tells.

        Raises:
            FloatingPointError: The loss is not finite.
        """
        for batch in islice(batches, self.steps - self.step):
            loss, told = self._objective.loss(batch)
            if not torch.isfinite(loss):
                raise FloatingPointError(
                    f"the loss of step {self.step} is {loss.item()}; lower the rate"
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
            yield {"step": self.step - 1, "loss": loss.item(), "learning_rate": rate, **told}
        self._objective.eval()

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on."""
        return {
            "step": self.step,
            "weights": self._objective.state_dict(),
            "optimiser": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self._objective.load_state_dict(state["weights"])
        self._optimizer.load_state_dict(state["optimiser"])
        self.step = state["step"]


def image_features(visual: Any, images: torch.Tensor, half: bool = False) -> torch.Tensor:
    """Features (B, D) float32 that an open_clip image tower makes of pictures.

    Args:
        visual: The tower; its `image_mean` and `image_std` normalise the pictures.
        images: (B, 3, H, W) in 0..1.
        half: Multiply in bfloat16, which halves the time on processors that have it.
    """
    mean = torch.tensor(visual.image_mean).view(3, 1, 1)
    std = torch.tensor(visual.image_std).view(3, 1, 1)
    pictures = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        features = visual(pictures)
    return features.float()


def make_optimizer(objective: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW that spares biases, norms and embeddings its decay."""
    decayed, free = [], []
    for name, weight in objective.named_parameters():
        plain = weight.ndim < 2 or "embedding" in name
        (free if plain else decayed).append(weight)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), foreach=True)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at a step."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
