"""Training of an agent of any kind."""

from agents.acting.evaluation import Results
from agents.learning.follower_training import train
from agents.map_training.fine_tuning import train_map_agent
from agents.settings import MapTrainConfig, TrainConfig


def train_any(config: TrainConfig | MapTrainConfig) -> Results:
    """Train the agent of the settings, compare it with the baselines and print a table."""
    return train_map_agent(config) if isinstance(config, MapTrainConfig) else train(config)
