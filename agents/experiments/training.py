"""Training of an agent of any kind."""

import logging

from clipnav.agents.acting.evaluation import Results
from clipnav.agents.frontier_training.training import train_frontier_agent
from clipnav.agents.history_training.fine_tuning import train_history_agent
from clipnav.agents.learning.follower_training import train
from clipnav.agents.map_training.fine_tuning import train_map_agent
from clipnav.agents.settings import (
    AnyTrainConfig,
    FrontierTrainConfig,
    HistoryTrainConfig,
    MapTrainConfig,
)
from clipnav.agents.settings.transformer_agents import MinibatchesConfig

_LOG = logging.getLogger(__name__)


def train_any(config: AnyTrainConfig) -> Results:
    """Train the agent of the settings, compare it with the baselines and print a table."""
    _warn_of_cloning(config)
    if isinstance(config, MapTrainConfig):
        return train_map_agent(config)
    if isinstance(config, FrontierTrainConfig):
        return train_frontier_agent(config)
    if isinstance(config, HistoryTrainConfig):
        return train_history_agent(config)
    return train(config)


def _warn_of_cloning(config: AnyTrainConfig) -> None:
    """Warn of a run that ends before its first walk with the agent's own decisions."""
    if not isinstance(config, FrontierTrainConfig | MinibatchesConfig):
        return
    # With reinforcement, a frontier agent samples all its decisions.
    walks = config.walks if isinstance(config, MinibatchesConfig) else not config.has_critic
    is_counted = config.minutes is None
    if walks and is_counted and config.cloning_iterations >= config.iterations:
        _LOG.warning(
            "the agent never acts on its own decisions in training: all --iterations %d are among "
            "--cloning-iterations %d; choose fewer of these",
            config.iterations,
            config.cloning_iterations,
        )
