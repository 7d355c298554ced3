"""Training a follower: by imitation, and by reinforcement where it is asked for."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import nn

from agents.acting.environments import (
    feature_metadata,
    fit_scale,
    make_env,
    make_evaluation_envs,
)
from agents.acting.evaluation import Results, compare, evaluate, follower_name, summaries, table
from agents.acting.follower_agent import FollowerAgent
from agents.acting.tokenizers import run_tokenizer, shared_words
from agents.configs import TrainConfig
from agents.learning.back_translation import BackTranslator, held_out_episodes
from agents.learning.lessons import Batch, make_lesson
from agents.learning.training import make_agent_trainer, prepare
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv
from envs.tokenizers import load_tokenizer
from training import distributed
from training.batches import BucketedBatchOrder
from training.checkpoints import VOCABULARY, load_model, save_model
from training.learners import Summary
from training.optimisers import make_optimiser
from training.settings import read_config
from training.trainer import Trainer

_WAY, _BACK = 32, 1


class FollowerLearner:
    """A follower, its critic, and the episodes that they learn from.

    Args:
        config: Settings of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.metric = config.select_metric
        self.metadata = feature_metadata(config)
        rows = config.batch_size * (2 if config.reinforcement.weight else 1)
        self.env = make_env(config, "train", run_tokenizer(config), rows)
        self.features = DeviceFeatures(self.env, config.device)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.network = make_lesson(config, self.env)
        self.follower = self.network.follower
        fit_scale(self.follower.scale, self.env)
        if config.start_from is not None and config.resume is None:
            self._start_from(config.start_from)
        self._translator = None
        if config.back_translation.speaker is not None:
            secret = held_out_episodes(config)
            processes, group = distributed.world_size(), self.network.group
            self._translator = BackTranslator(
                config, self.follower, self.env, secret, rows, processes, group
            )
        self.clipped: list[nn.Module] = [self.follower.encoder, self.follower.decoder]
        tuned = getattr(self.follower.encoder, "tuned", None)
        self.optimiser = make_optimiser(
            self.network, config.optimiser, tuned, config.text.learning_rate
        )
        self._lesson = distributed.wrap_ddp(self.network)
        self._order = BucketedBatchOrder(
            [episode.instr_id for episode in self.env.episodes],
            [len(episode.instruction) for episode in self.env.episodes],
            rows * distributed.world_size(),
            config.bucket,
            config.seed,
            self.network.group * distributed.world_size(),
        )

    def backward(self, iteration: int) -> dict[str, float]:
        """Walk a batch and add its gradient."""
        rng = np.random.default_rng([self.config.seed, _WAY, iteration])
        batch = Batch(self._own_share(self._order.batch(iteration)), rng)
        weight = self.config.imitation_weight
        if self._translator is None:
            return self._teach(self.env, self.features, batch, weight)
        with distributed.unsynchronised(self._lesson):
            figures = self._teach(self.env, self.features, batch, weight)
        translator = self._translator
        rng = np.random.default_rng([self.config.seed, _WAY, iteration, _BACK])
        batch = translator.batch(self._own_share(translator.names(iteration)), rng)
        weight = self.config.back_translation.imitation_weight
        more = self._teach(translator.env, translator.features, batch, weight)
        loss = figures["loss"] + more["loss"]
        return {**figures, **{f"back_{name}": v for name, v in more.items()}, "loss": loss}

    def evaluate(self) -> Mapping[str, Summary]:
        """Walk the evaluation splits greedily."""
        return {
            name: summary
            for split, env in self.evaluation_envs.items()
            for name, summary in summaries(split, evaluate(env, self.agent(split), split)).items()
        }

    def agent(self, split: str) -> FollowerAgent:
        """The follower walking greedily through a split."""
        env = self.evaluation_envs[split]
        features = DeviceFeatures(env, self.config.device)
        return FollowerAgent(self.follower, features, self.config.reads)

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.env.tokenizer.save(run / VOCABULARY)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write follower and critic."""
        save_model(run, self.network, {**self.metadata, "iteration": str(iteration)})

    def load_model(self, run: Path) -> None:
        """Read follower and critic."""
        load_model(run, self.network, self.metadata)

    def results(self) -> Results:
        """The follower beside the baselines on every evaluation split."""
        self.network.eval()
        results: Results = {}
        for split, env in self.evaluation_envs.items():
            agents = {follower_name(self.config): self.agent(split)}
            results |= compare(env, agents, self.config.seed, split)
        return results

    def _teach(
        self, env: VlnVectorEnv, features: DeviceFeatures, batch: Batch, weight: float
    ) -> dict[str, float]:
        loss, figures = self._lesson(env, features, batch, weight)
        loss.backward()
        return figures

    def _start_from(self, run: Path) -> None:
        """Begin with the follower of another run, and with its critic if it has one.

        Where that run was on other data, what both vocabularies have keeps its embedding.

        Raises:
            ValueError: One of the two reads through a Hugging Face model that the other lacks.
        """
        words, ours = load_tokenizer(run / VOCABULARY), self.env.tokenizer
        pairs = shared_words(words, ours)
        settings = dataclasses.replace(
            self.config, reinforcement=read_config(run, TrainConfig).reinforcement
        )
        other = make_lesson(settings, self.env, words)
        load_model(run, other, self.metadata)
        self.follower.load(other.follower, pairs)
        if words != ours and distributed.rank() == 0:
            print(f"{len(pairs)} of {len(ours)} words are known from {run}")
        if other.critic is not None and self.network.critic is not None:
            self.network.critic.load_state_dict(other.critic.state_dict())

    def _own_share(self, instr_ids: list[str]) -> list[str]:
        """Of a batch of all processes, this one's: groups of rows dealt out in turn."""
        groups = np.array(instr_ids, dtype=object).reshape(-1, self.network.group)
        return groups[distributed.rank() :: distributed.world_size()].ravel().tolist()


def follower_trainer(config: TrainConfig) -> tuple[Trainer, FollowerLearner]:
    """A run that trains a follower, ready to go, and the learner in it."""
    prepare(config)
    learner = FollowerLearner(config)
    return make_agent_trainer(config, learner), learner


@distributed.destroys_process_group
def train(config: TrainConfig) -> Results:
    """Train, compare with the baselines, print the table and write RUN/results.json."""
    trainer, learner = follower_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    results = learner.results()
    trainer.report(results)
    if distributed.rank() == 0:
        print(table(results))
        print(f"Run: {trainer.run}")
    return results
