"""Trainer of agents and speakers, in one process or on several ranks."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import nn

from clipnav.agents.settings import RunConfig
from clipnav.training import distributed
from clipnav.training.devices import set_up_torch
from clipnav.training.learners import Learner
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.training.trainer import Trainer

Config = TypeVar("Config", bound=RunConfig)
AnyLearner = TypeVar("AnyLearner", bound=Learner)

_LARGEST_LOSS = 1e4  # losses of a healthy run are below 100


def make_agent_trainer(
    make_learner: Callable[[Config], AnyLearner], config: Config
) -> tuple[Trainer, AnyLearner]:
    """Build the trainer of an agent or a speaker, and its learner."""
    prepare(config)
    learner = make_learner(config)
    noise = partial(rank_iteration_seed, config.seed, Stream.AGENT_NOISE, rank=distributed.rank())
    return Trainer(config, learner, noise, _LARGEST_LOSS), learner


def mixed_precision(network: nn.Module, config: RunConfig) -> torch.autocast:
    """Return a context in which large matrix products have the precision of the settings."""
    device = next(network.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16")


def prepare(config: RunConfig) -> None:
    """Set up torch and join the other ranks, before anything else is built."""
    set_up_torch(config.device, config.threads, config.matmul_precision, config.seed)
    distributed.join(config.device)
