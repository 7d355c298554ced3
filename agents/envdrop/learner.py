"""Training of a follower by imitation, reinforcement and back-translation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from clipnav.agents.acting.environments import fit_scale, reserve_text_states
from clipnav.agents.acting.tokenizers import shared_words
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.follower_loss import EpisodeBatch, FollowerLoss
from clipnav.agents.envdrop.follower_network import (
    FollowerNetwork,
    fit_states,
    make_follower_network,
)
from clipnav.agents.envdrop.grounding import ObjectLoss
from clipnav.agents.envdrop.settings import RecurrentAgentConfig, TrainConfig
from clipnav.agents.layers.critic import Critic
from clipnav.agents.learning.agent_learner import EpisodeLearner
from clipnav.agents.settings import read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream

_BACK_TRANSLATION = 1  # end of the seed of actions on back-translated paths


class RecurrentLearner(EpisodeLearner):
    """A network with a follower, and the episodes to learn from.

    Attributes:
        loss: Class of the network with its loss: of follower, critic or None, and settings.
    """

    loss: Callable[[Follower, Critic | None, Any], FollowerNetwork]
    config: RecurrentAgentConfig
    network: FollowerNetwork

    @classmethod
    def make_network(
        cls, config: RecurrentAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
    ) -> FollowerNetwork:
        """Build the untrained follower and, with reinforcement, its critic, with their loss."""
        parts = make_follower_network(config, env, tokenizer, with_critic=config.has_critic)
        return cls.loss(parts.follower, parts.critic, config)

    def prepare(self, network: FollowerNetwork) -> FollowerNetwork:
        """Initialise the follower of a new run; return it with its critic and loss."""
        config, self.follower = self.config, network.follower
        self.network = network
        reserve_text_states(self.follower.encoder, [self.env, *self.evaluation_envs.values()])
        if self.follower.objects is not None:
            network.object_loss = ObjectLoss(self.env, self.features.objects)
        if config.resume is None:  # otherwise the trainer restores all of it
            fit_states(self.follower.encoder, self.env)
            fit_scale(self.follower.scale, self.env)
            if config.start_from is not None:
                self._start_from(config.start_from)
        return network

    @property
    def clipped(self) -> list[nn.Module]:
        """Modules whose gradients are clipped separately."""
        objects = self.follower.objects
        return [
            self.follower.encoder,
            self.follower.decoder,
            *([] if objects is None else [objects]),
        ]

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Return the optimiser, with a rate of its own for a tuned text model."""
        tuned = getattr(self.follower.encoder, "tuned", None)
        rate = self.config.language_learning_rate
        return make_optimiser(self.network, self.config.optimiser, tuned, rate)

    def _start_from(self, run: Path) -> None:
        """Copy the weights of the follower of another run, and of its critic if it has one.

        Words that both vocabularies contain keep the embedding of that run.
        """
        source = load_run_tokenizer(run / VOCABULARY, "--start-from")
        settings = read_agent_config(run)
        if "follower-weights" not in agent_spec(settings.agent).abilities:
            raise UserError(
                f"--start-from {run}: its agent is {settings.agent}; choose a run of --agent "
                "follower or frontier"
            )
        target = self.env.tokenizer
        pairs = shared_words(source, target)
        assert isinstance(settings, RecurrentAgentConfig)
        with_critic = settings.has_critic
        other = make_follower_network(self.config, self.env, source, with_critic=with_critic)
        load_model(run, other, self.data_metadata)
        self.follower.load(other.follower, pairs)
        if source != target and distributed.rank() == 0:
            print(f"{len(pairs)} of {len(target)} words have an embedding in {run}")
        if other.critic is not None and self.network.critic is not None:
            self.network.critic.load_state_dict(other.critic.state_dict())


class FollowerLearner(RecurrentLearner):
    """A follower, its critic, and the episodes to learn from."""

    loss = FollowerLoss
    config: TrainConfig
    network: FollowerLoss

    def __init__(self, config: TrainConfig) -> None:
        group = 2 if config.has_critic else 1
        super().__init__(config, group * config.batch_size, group)
        self._translator = None
        if config.back_translation.speaker is not None:
            from clipnav.agents.envdrop.back_translation import BackTranslator, held_out_episodes

            held_out, group = held_out_episodes(config), self.network.group
            self._translator = BackTranslator(config, self.follower, self.env, held_out, group)
        self._partners = None
        if config.clear.contrastive_weight and config.instruction_ablation == "none":
            from clipnav.agents.clear.language_data import PartnerInstructions

            self._partners = PartnerInstructions(self.env.episodes, self.env.split.tokens)

    def backward(self, iteration: int) -> dict[str, float]:
        """Walk a batch, add its gradient and return the figures to log."""
        rng = Stream.FOLLOWER_ACTIONS.rng(self.config.seed, iteration)
        names = self._rank_share(self._order.batch(iteration))
        partners = None
        if self._partners is not None:
            partners = self._partners.draw(names, self.config.seed, iteration)
        batch = EpisodeBatch(names, rng, partners=partners)
        weight = self.config.imitation_weight
        if self._translator is None:
            return self._add_gradient(self.env, self.features, batch, weight)
        with distributed.unsynchronised(self._loss):
            figures = self._add_gradient(self.env, self.features, batch, weight)
        translator = self._translator
        rng = Stream.FOLLOWER_ACTIONS.rng(self.config.seed, iteration, _BACK_TRANSLATION)
        batch = translator.batch(self._rank_share(translator.names(iteration)), rng)
        weight = self.config.back_translation.imitation_weight
        back = self._add_gradient(translator.env, translator.features, batch, weight)
        loss = figures["loss"] + back["loss"]
        return {**figures, **{f"back_{name}": v for name, v in back.items()}, "loss": loss}

    def agent(self, split: str) -> FollowerAgent:
        """Return the follower as a greedy agent on a split."""
        env = self.evaluation_envs[split]
        features = DeviceFeatures(env, self.config.device)
        return FollowerAgent(self.follower, features, self.config.use_instructions)

    def _add_gradient(
        self, env: VlnVectorEnv, features: DeviceFeatures, batch: EpisodeBatch, weight: float
    ) -> dict[str, float]:
        loss, figures = self._loss(env, features, batch, weight)
        loss.backward()
        return figures

    def _rank_share(self, instr_ids: list[str]) -> list[str]:
        """Return the rows of a batch that belong to this rank; groups are dealt out in turn."""
        groups = np.array(instr_ids, dtype=object).reshape(-1, self.network.group)
        return groups[distributed.rank() :: distributed.world_size()].ravel().tolist()
