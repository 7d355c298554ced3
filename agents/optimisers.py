"""How weights follow gradients."""

import math

import torch
from torch import nn

from agents.configs import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Optimiser over all weights of a network."""
    if config.name == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=config.learning_rate)
    return torch.optim.AdamW(
        network.parameters(),
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
