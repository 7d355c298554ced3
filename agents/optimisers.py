"""How weights follow gradients."""

import math
from typing import Any

import torch
from torch import nn

from agents.configs import OptimiserConfig


def make_optimiser(
    network: nn.Module,
    config: OptimiserConfig,
    slow: nn.Module | None = None,
    slow_rate: float = 0.0,
) -> torch.optim.Optimizer:
    """Optimiser over all weights of a network.

    Args:
        network: What learns.
        config: Settings.
        slow: Part of the network that has a learning rate of its own.
        slow_rate: That rate, at its highest.
    """
    own = set() if slow is None else set(slow.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in network.parameters() if weight not in own]}
    ]
    if slow is not None:
        factor = slow_rate / config.learning_rate
        groups.append({"params": list(slow.parameters()), "rate_factor": factor})
    if config.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=config.learning_rate)
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: OptimiserConfig, iteration: int, progress: float) -> float:
    """Learning rate of an iteration (from 0), `progress` (0 to 1) of the way through the run."""
    rate = config.learning_rate * min(1.0, (iteration + 1) / (config.warmup + 1))
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * progress))
    return rate
