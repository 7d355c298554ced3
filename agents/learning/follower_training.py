"""Training of a follower by imitation, reinforcement and back-translation."""

import dataclasses
from pathlib import Path

import numpy as np
from torch import nn

from agents.acting.environments import (
    feature_metadata,
    fit_scale,
    make_env,
    make_evaluation_envs,
    reserve_text_states,
)
from agents.acting.evaluation import Results
from agents.acting.follower_agent import FollowerAgent
from agents.acting.tokenizers import run_tokenizer, shared_words
from agents.clear.language_data import PartnerInstructions
from agents.learning.agent_learner import WalkingLearner, train_and_compare
from agents.learning.agent_trainer import make_agent_trainer, prepare
from agents.learning.back_translation import BackTranslator, held_out_episodes
from agents.learning.follower_loss import EpisodeBatch, FollowerLoss, make_follower_loss
from agents.settings import TrainConfig
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv
from envs.tokenizers import load_run_tokenizer
from training import distributed
from training.batches import BucketedBatchOrder
from training.checkpoints import VOCABULARY, load_model
from training.learners import Selection
from training.optimisers import make_optimiser
from training.settings import read_config
from training.trainer import Trainer

# Streams of random numbers: sampled actions, and those on back-translated paths.
_ACTIONS, _BACK_TRANSLATION = 32, 1


class FollowerLearner(WalkingLearner):
    """A follower, its critic, and the episodes to learn from.

    Args:
        config: Settings of the run.
    """

    config: TrainConfig
    network: FollowerLoss

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.metadata = feature_metadata(config)
        rows = config.batch_size * (2 if config.reinforcement.weight else 1)
        self.env = make_env(config, "train", run_tokenizer(config), rows)
        self.features = DeviceFeatures(self.env, config.device)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.network = self.saved = make_follower_loss(config, self.env)
        self.follower = self.network.follower
        reserve_text_states(self.follower.encoder, [self.env, *self.evaluation_envs.values()])
        fit_scale(self.follower.scale, self.env)
        if config.start_from is not None and config.resume is None:
            self._start_from(config.start_from)
        self._translator = None
        if config.back_translation.speaker is not None:
            held_out, group = held_out_episodes(config), self.network.group
            self._translator = BackTranslator(config, self.follower, self.env, held_out, group)
        self.clipped: list[nn.Module] = [self.follower.encoder, self.follower.decoder]
        tuned = getattr(self.follower.encoder, "tuned", None)
        rate = config.language_learning_rate
        self.optimiser = make_optimiser(self.network, config.optimiser, tuned, rate)
        self._partners = None
        if config.clear.contrastive_weight and config.instruction_ablation == "none":
            self._partners = PartnerInstructions(self.env.episodes, self.env.split.tokens)
        self._loss = distributed.wrap_ddp(self.network)
        self._order = BucketedBatchOrder(
            [episode.instr_id for episode in self.env.episodes],
            [len(episode.instruction) for episode in self.env.episodes],
            rows * distributed.world_size(),
            config.bucket,
            config.seed,
            self.network.group * distributed.world_size(),
        )

    def backward(self, iteration: int) -> dict[str, float]:
        """Walk a batch, add its gradient and return the figures to log."""
        rng = np.random.default_rng([self.config.seed, _ACTIONS, iteration])
        names = self._rank_share(self._order.batch(iteration))
        partners = None
        if self._partners is not None:
            partners = self._partners.draw(names, [self.config.seed, iteration])
        batch = EpisodeBatch(names, rng, partners=partners)
        weight = self.config.imitation_weight
        if self._translator is None:
            return self._add_gradient(self.env, self.features, batch, weight)
        with distributed.unsynchronised(self._loss):
            figures = self._add_gradient(self.env, self.features, batch, weight)
        translator = self._translator
        rng = np.random.default_rng([self.config.seed, _ACTIONS, iteration, _BACK_TRANSLATION])
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

    def _start_from(self, run: Path) -> None:
        """Copy the weights of the follower of another run, and of its critic if it has one.

        Words that both vocabularies contain keep the embedding of that run.

        Raises:
            UserError: The runs have different Hugging Face models, or only one has a model.
        """
        source = load_run_tokenizer(run / VOCABULARY, "--start-from")
        target = self.env.tokenizer
        pairs = shared_words(source, target)
        settings = dataclasses.replace(
            self.config, reinforcement=read_config(run, TrainConfig).reinforcement
        )
        other = make_follower_loss(settings, self.env, source)
        load_model(run, other, self.metadata)
        self.follower.load(other.follower, pairs)
        if source != target and distributed.rank() == 0:
            print(f"{len(pairs)} of {len(target)} words have an embedding in {run}")
        if other.critic is not None and self.network.critic is not None:
            self.network.critic.load_state_dict(other.critic.state_dict())

    def _rank_share(self, instr_ids: list[str]) -> list[str]:
        """Return the rows of a batch that belong to this rank; groups are dealt out in turn."""
        groups = np.array(instr_ids, dtype=object).reshape(-1, self.network.group)
        return groups[distributed.rank() :: distributed.world_size()].ravel().tolist()


def follower_trainer(config: TrainConfig) -> tuple[Trainer, FollowerLearner]:
    """Build the trainer of a follower and its learner."""
    prepare(config)
    learner = FollowerLearner(config)
    return make_agent_trainer(config, learner), learner


@distributed.destroys_process_group
def train(config: TrainConfig) -> Results:
    """Train a follower, compare it with the baselines, print a table, write RUN/results.json."""
    return train_and_compare(*follower_trainer(config))
