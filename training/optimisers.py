"""How weights follow gradients."""

import math
from typing import Any

import torch
from torch import nn

from training.optimiser_settings import OptimiserConfig


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
    rate, betas, epsilon = config.learning_rate, config.betas, config.epsilon
    if config.name == "rmsprop":
        return torch.optim.RMSprop(groups, rate, eps=epsilon)
    if config.name == "adamax":
        return torch.optim.Adamax(groups, rate, betas, epsilon)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, rate, betas, epsilon, config.weight_decay, fused=True)
    return torch.optim.Adam(groups, rate, betas, epsilon, fused=True)


def learning_rate(config: OptimiserConfig, iteration: int, progress: float) -> float:
    """Learning rate of an iteration (from 0), `progress` (0 to 1) of the way through the run."""
    done = iteration + 1
    if config.schedule == "noam":
        warmup = max(config.warmup, 1)
        return config.learning_rate * min(done / warmup, math.sqrt(warmup / done))
    rate = config.learning_rate
    if done < config.warmup:
        start = config.warmup_start
        rate *= start + (1 - start) * done / config.warmup
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "steps":
        rate *= config.decay ** sum(iteration >= milestone for milestone in config.milestones)
    return rate


def limit_gradient(network: nn.Module, config: OptimiserConfig) -> float:
    """Limit the gradient as the settings say; returns its norm before."""
    weights = [weight for weight in network.parameters() if weight.grad is not None]
    limit = config.clip_at if config.clip == "norm" else math.inf
    norm = nn.utils.clip_grad_norm_(weights, limit).item()
    if config.clip == "value":
        nn.utils.clip_grad_value_(weights, config.clip_at)
    return norm
