"""The network that runs of followers and of frontier agents train and save."""

from pathlib import Path

from torch import nn

from clipnav.agents.acting.environments import (
    feature_metadata,
    make_env,
    make_follower,
    reserve_text_states,
)
from clipnav.agents.acting.follower_agent import FollowerAgent
from clipnav.agents.envdrop.critic import Critic
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.settings import RecurrentAgentConfig, TrainConfig
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.devices import check_device


class FollowerNetwork(nn.Module):
    """A follower and, with reinforcement, its critic.

    Args:
        follower: Follower.
        critic: Critic; None without reinforcement.
    """

    def __init__(self, follower: Follower, critic: Critic | None = None) -> None:
        super().__init__()
        self.follower = follower
        self.critic = critic

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded."""
        return {**self.follower.architecture, "critic": "no" if self.critic is None else "yes"}


def make_follower_network(
    config: RecurrentAgentConfig,
    env: VlnVectorEnv,
    tokenizer: Tokenizer | None = None,
    *,
    with_critic: bool,
) -> FollowerNetwork:
    """Build an untrained follower (see `make_follower`) and, if requested, its critic."""
    follower, critic, settings = make_follower(config, env, tokenizer), None, config.follower
    if with_critic:
        critic = Critic(settings.hidden_size, settings.dropout).to(config.device)
    return FollowerNetwork(follower, critic)


def load_network(
    run: Path, split: str, settings: RecurrentAgentConfig
) -> tuple[VlnVectorEnv, FollowerNetwork]:
    """Build the environment of a split and load the network of a run; see `clipnav.load_run`."""
    check_device(settings.device)
    metadata = feature_metadata(settings)
    env = make_env(
        settings, split, load_run_tokenizer(run / VOCABULARY), settings.evaluation_batch_size
    )
    network = make_follower_network(settings, env, with_critic=settings.has_critic)
    load_model(run, network, metadata)
    network.eval()
    reserve_text_states(network.follower.encoder, [env])
    return env, network


def load_follower(
    run: Path, split: str, settings: TrainConfig
) -> tuple[VlnVectorEnv, FollowerAgent]:
    """Build the environment of a split and load the follower of a run; see `clipnav.load_run`."""
    env, network = load_network(run, split, settings)
    features = DeviceFeatures(env, settings.device)
    agent = FollowerAgent(network.follower, features, settings.reads_instructions)
    agent.critic = network.critic
    return env, agent
