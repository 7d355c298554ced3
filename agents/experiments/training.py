"""Training of an agent of any kind."""

from agents.acting.evaluation import Results
from agents.frontier_training.training import train_frontier_agent
from agents.history_training.fine_tuning import train_history_agent
from agents.learning.follower_training import train
from agents.map_training.fine_tuning import train_map_agent
from agents.settings import (
    AnyTrainConfig,
    FrontierTrainConfig,
    HistoryTrainConfig,
    MapTrainConfig,
)


def train_any(config: AnyTrainConfig) -> Results:
    """Train the agent of the settings, compare it with the baselines and print a table."""
    if isinstance(config, MapTrainConfig):
        return train_map_agent(config)
    if isinstance(config, FrontierTrainConfig):
        return train_frontier_agent(config)
    if isinstance(config, HistoryTrainConfig):
        return train_history_agent(config)
    return train(config)
