"""How weights follow gradients."""

import math

import torch
from torch import nn

from vl_tasks.configs import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Optimiser over all weights of a network."""
    weights = list(network.parameters())
    rate, betas, epsilon = config.learning_rate, config.betas, config.epsilon
    if config.name == "adamax":
        return torch.optim.Adamax(weights, rate, betas, epsilon)
    if config.name == "adamw":
        return torch.optim.AdamW(weights, rate, betas, epsilon, config.weight_decay, fused=True)
    return torch.optim.Adam(weights, rate, betas, epsilon, fused=True)


def learning_rate(config: OptimiserConfig, iteration: int, iterations: int) -> float:
    """Learning rate of an iteration (from 0) of a run of so many."""
    done = iteration + 1
    if config.schedule == "noam":
        warmup = max(config.warmup, 1)
        return config.learning_rate * min(done / warmup, math.sqrt(warmup / done))
    rate = config.learning_rate
    if done < config.warmup:
        start = config.warmup_start
        rate *= start + (1 - start) * done / config.warmup
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * iteration / iterations))
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
