"""The network that runs of followers and of frontier agents train and save."""

from torch import nn

from clipnav.agents.acting.environments import make_follower
from clipnav.agents.envdrop.critic import Critic
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.settings import RecurrentAgentConfig
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer


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
