"""Trainer of followers and speakers, in one process or on several ranks."""

from typing import Protocol

import torch
from torch import nn

from agents.settings import RunConfig
from training import distributed
from training.checkpoints import MODEL, check_metadata
from training.learners import Learner
from training.setup import rank_iteration_seed, set_up_torch
from training.trainer import Trainer

_NOISE = 31
_LARGEST_LOSS = 1e4  # losses of a healthy run are below 100


class AgentLearner(Learner, Protocol):
    """A learner whose weights are valid for certain features and languages only."""

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the weights, which must match when they are loaded."""
        ...


def make_agent_trainer(config: RunConfig, learner: AgentLearner) -> Trainer:
    """Build the trainer of a new run, or of the run that `config.resume` names.

    Raises:
        FileNotFoundError: The run to resume has no saved state.
        OutputInUseError: Another process trains in the folder.
        ValueError: The run to resume was trained on other features or other languages.
    """
    # A run that was killed between the two files has a state but no weights yet.
    if config.resume is not None and (config.resume / MODEL).is_file():
        check_metadata(config.resume, learner.metadata)

    def noise(iteration: int) -> int:
        return rank_iteration_seed(config.seed, _NOISE, iteration, distributed.rank())

    return Trainer(config, learner, noise, _LARGEST_LOSS, distributed)


def mixed_precision(network: nn.Module, config: RunConfig) -> torch.autocast:
    """Return a context in which large matrix products have the precision of the settings."""
    device = next(network.parameters()).device.type
    return torch.autocast(device, torch.bfloat16, enabled=config.precision == "bf16")


def prepare(config: RunConfig) -> None:
    """Set up torch and join the other ranks, before anything else is built.

    Raises:
        ValueError: torch cannot compute on the device.
    """
    set_up_torch(config.device, config.threads, config.matmul_precision, config.seed)
    distributed.join(config.device)
