"""Optimisers, learning rate schedules and gradient clipping."""

import math
from typing import Any

import torch
from torch import nn

from clipnav.training.optimiser_settings import OptimiserConfig


def make_optimiser(
    network: nn.Module,
    config: OptimiserConfig,
    slow: nn.Module | None = None,
    slow_rate: float = 0.0,
) -> torch.optim.Optimizer:
    """Build the optimiser of all weights of a network."""
    slow_weights = set() if slow is None else set(slow.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in network.parameters() if weight not in slow_weights]}
    ]
    if slow is not None:
        factor = slow_rate / config.learning_rate
        groups.append({"params": list(slow.parameters()), "rate_factor": factor})
    return make_group_optimiser(groups, config)


def make_group_optimiser(
    groups: list[dict[str, Any]], config: OptimiserConfig, fused: bool = True
) -> torch.optim.Optimizer:
    """Build the optimiser of groups of weights.

    Args:
        groups: Groups as for `torch.optim.Optimizer`. `rate_factor`, 1 by default, is the learning
            rate of a group as a multiple of the one that is scheduled.
    """
    rate, betas, epsilon = config.learning_rate, config.betas, config.epsilon
    if config.name == "rmsprop":
        return torch.optim.RMSprop(groups, rate, eps=epsilon)
    if config.name == "adamax":
        return torch.optim.Adamax(groups, rate, betas, epsilon)
    if config.name == "adamw":
        decay = config.weight_decay
        return torch.optim.AdamW(groups, rate, betas, epsilon, decay, fused=fused)
    return torch.optim.Adam(groups, rate, betas, epsilon, fused=fused)


def decay_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Return the weights in two groups; biases and norms have no weight decay (BERT, DUET)."""
    decayed, others = [], []
    for name, weight in network.named_parameters():
        is_norm = "norm" in name.lower().rpartition(".")[0].rpartition(".")[2]
        (others if name.endswith("bias") or is_norm else decayed).append(weight)
    return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]


def learning_rate(config: OptimiserConfig, iteration: int, progress: float) -> float:
    """Return the learning rate of an iteration.

    Published schedules count updates differently: those of openvqa and of captioning
    (`WarmupOptimizer`, `NoamOpt`: `step`) increment the count before they compute the rate, so the
    first update is number 1; those of mmf (`lr_lambda_update`, `MultiStepScheduler`), which are
    LambdaLR's, increment it afterwards, so the first update is number 0.
    """
    if config.schedule == "open_clip":
        return config.learning_rate * _open_clip_factor(config.warmup, iteration, progress)
    if config.schedule == "noam":
        warmup, update = max(config.warmup, 1), iteration + 1
        return config.learning_rate * min(update / warmup, math.sqrt(warmup / update))
    rate = config.learning_rate * _warmup_factor(config, iteration)
    if config.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "linear":
        rate *= _linear_factor(config.warmup, iteration, progress)
    if config.schedule == "steps":
        rate *= config.decay ** sum(iteration >= milestone for milestone in config.milestones)
    return rate


def _open_clip_factor(warmup: int, iteration: int, progress: float) -> float:
    """Return the fraction of the peak learning rate of open_clip's `cosine_lr`.

    The last iteration of the warm-up has the full rate, and the cosine decays over the remaining
    iterations; their number is estimated from the progress if a run is limited by time.
    """
    if iteration < warmup:
        return (iteration + 1) / warmup
    iterations = round(iteration / progress) if progress else 1
    decay = max(1, iterations - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(iteration - warmup, decay) / decay))


def _warmup_factor(config: OptimiserConfig, iteration: int) -> float:
    """Return the fraction of the learning rate that the warm-up has reached in an iteration."""
    if iteration >= config.warmup:
        return 1.0
    if config.warmup_stairs:
        stairs = range(1, config.warmup_stairs + 1)
        climbed = sum(iteration >= config.warmup * stair // len(stairs) for stair in stairs)
        return (1 + climbed) / (1 + len(stairs))
    return config.warmup_start + (1 - config.warmup_start) * iteration / config.warmup


def _linear_factor(warmup: int, iteration: int, progress: float) -> float:
    """Return the fraction that is left of a linear decay from the end of the warm-up to zero.

    As `get_linear_schedule_with_warmup` of transformers. The number of iterations of the run, which
    its time may limit, is extrapolated from the progress.
    """
    if iteration <= warmup or not progress:
        return 1.0
    iterations = iteration / progress
    return max(0.0, (iterations - iteration) / max(iterations - warmup, 1))


def clip_gradient(network: nn.Module, config: OptimiserConfig) -> float:
    """Clip the gradient in place according to the settings; return its norm before clipping."""
    weights = [weight for weight in network.parameters() if weight.grad is not None]
    limit = config.clip_at if config.clip == "norm" else math.inf
    norm = nn.utils.clip_grad_norm_(weights, limit).item()
    if config.clip == "value":
        nn.utils.clip_grad_value_(weights, config.clip_at)
    return norm
