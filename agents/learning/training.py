"""Runs of followers and of speakers, in one process or in several."""

from typing import Protocol

import torch
from torch import nn

from agents.configs import RunConfig
from training import distributed
from training.checkpoints import MODEL, check_metadata
from training.learners import Learner
from training.setup import rank_iteration_seed, set_up_torch
from training.trainer import Trainer

_NOISE = 31
# The losses of a healthy run are below a hundred.
_EXPLODED = 1e4


class AgentLearner(Learner, Protocol):
    """A learner whose weights mean nothing to other features or languages."""

    @property
    def metadata(self) -> dict[str, str]:
        """What is noted with the weights, and must be alike when they are used."""
        ...


def make_agent_trainer(config: RunConfig, learner: AgentLearner) -> Trainer:
    """A run of what is trained, fresh or taken up again, with the processes that have joined.

    Raises:
        FileNotFoundError: There is nothing to take up.
        OutputInUseError: Another process trains in the folder.
        ValueError: What is to be taken up was trained on other features or other languages.
    """
    # A run that was killed just then has a state, and no weights beside it yet.
    if config.resume is not None and (config.resume / MODEL).is_file():
        check_metadata(config.resume, learner.metadata)

    def noise(iteration: int) -> int:
        return rank_iteration_seed(config.seed, _NOISE, iteration, distributed.rank())

    return Trainer(config, learner, noise, _EXPLODED, distributed)


def large_products(network: nn.Module, config: RunConfig) -> torch.autocast:
    """Within it the large products of a network have the precision that the settings ask for."""
    device = next(network.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16")


def prepare(config: RunConfig) -> None:
    """Set up torch as a run wants it, and join the other processes; before anything is built.

    Raises:
        ValueError: There is no such device.
    """
    set_up_torch(config.device, config.threads, config.matmul_precision, config.seed)
    distributed.join(config.device)
