"""The network that runs of followers and of frontier agents train and save."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from clipnav.agents.acting.environments import reserve_text_states
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.grounding import ObjectLoss, ReadPlaces
from clipnav.agents.envdrop.settings import RecurrentAgentConfig, TrainConfig
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.encoders import InstructionEncoder
from clipnav.agents.layers.pretrained import PretrainedEncoder, StateReader, hugging_face_model
from clipnav.agents.learning.agent_learner import load_network
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer

_STATISTICS = 1_000  # instructions for the scale of hidden states


class FollowerNetwork(nn.Module):
    """A follower and, with reinforcement, its critic."""

    # Loss of the objects, for a follower that points them out; the learner sets it.
    object_loss: ObjectLoss | None = None

    def __init__(self, follower: Follower, critic: Critic | None = None) -> None:
        super().__init__()
        self.follower = follower
        self.critic = critic

    def grounding(
        self, env: VlnVectorEnv, instr_ids: list[str], places: list[ReadPlaces]
    ) -> tuple[Tensor | float, dict[str, float]]:
        """Return the loss of the objects of a batch, see `ObjectLoss`; 0 without objects."""
        if self.object_loss is None or self.follower.objects is None:
            return 0.0, {}
        return self.object_loss(self.follower.objects, env, instr_ids, places)

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


def load_follower_network(
    run: Path, split: str, settings: RecurrentAgentConfig
) -> tuple[VlnVectorEnv, FollowerNetwork]:
    """Build the environment of a split and load the network of a run; see `load_network`."""
    make = partial(make_follower_network, with_critic=settings.has_critic)
    env, network = load_network(run, split, settings, make)
    reserve_text_states(network.follower.encoder, [env])
    return env, network


def load_follower(
    run: Path, split: str, settings: TrainConfig
) -> tuple[VlnVectorEnv, FollowerAgent]:
    """Build the environment of a split and load the follower of a run; see `clipnav.load_run`."""
    env, network = load_follower_network(run, split, settings)
    features = DeviceFeatures(env, settings.device)
    agent = FollowerAgent(network.follower, features, settings.use_instructions)
    agent.critic = network.critic
    return env, agent


def make_follower(
    config: RecurrentAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> Follower:
    """Build an untrained follower for an environment."""
    visual = 0 if env.feature_store is None else env.feature_store.width
    angle = config.angle_feature_size
    views = None
    if config.visual_representation is not None and env.feature_store is not None:
        from clipnav.agents.clear.loading import load_view_encoder

        store = env.feature_store
        views = load_view_encoder(config.visual_representation, store, config.clear)
    transformer = StateReader if config.follower.read_states else PretrainedEncoder
    if config.language_representation is not None:
        from clipnav.agents.clear.loading import load_text_model

        run, longest = config.language_representation, config.max_instruction_length
        model = load_text_model(run, longest)
        encoder = transformer(model, config.follower, config.clear.tune_language)
    elif config.text.tokens == "pretrained":
        assert config.text.model is not None
        model = hugging_face_model(config.text.model)
        encoder = transformer(model, config.follower, config.text.tune)
    else:
        encoder = InstructionEncoder(len(tokenizer or env.tokenizer), config.follower)
    objects = None if env.objects is None or not visual else env.objects.width
    return Follower(encoder, visual, angle, config.follower, views, objects).to(config.device)


def fit_states(encoder: nn.Module, env: VlnVectorEnv) -> None:
    """Set the scale of a `StateReader` from the instructions of an environment."""
    if isinstance(encoder, StateReader):
        tokens = env.split.tokens  # (N, L)
        encoder.fit(torch.from_numpy(tokens[:: max(1, len(tokens) // _STATISTICS)]))
