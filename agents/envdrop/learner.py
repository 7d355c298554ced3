"""Training of a follower by imitation, reinforcement and back-translation."""

import numpy as np

from clipnav.agents.clear.language_data import PartnerInstructions
from clipnav.agents.envdrop.back_translation import BackTranslator, held_out_episodes
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.follower_loss import EpisodeBatch, FollowerLoss
from clipnav.agents.envdrop.recurrent_learner import RecurrentLearner
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training import distributed
from clipnav.training.streams import Stream

_BACK_TRANSLATION = 1  # end of the seed of actions on back-translated paths


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
            held_out, group = held_out_episodes(config), self.network.group
            self._translator = BackTranslator(config, self.follower, self.env, held_out, group)
        self._partners = None
        if config.clear.contrastive_weight and config.instruction_ablation == "none":
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
        return FollowerAgent(self.follower, features, self.config.reads_instructions)

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
