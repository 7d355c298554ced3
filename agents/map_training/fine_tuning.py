"""Training of a map agent by behaviour cloning and DAgger."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from agents.acting.decisions import Draws
from agents.acting.environments import (
    feature_metadata,
    make_env,
    make_evaluation_envs,
    reserve_text_states,
)
from agents.acting.evaluation import Results
from agents.acting.tokenizers import run_tokenizer
from agents.learning.agent_learner import WalkingLearner, train_and_compare
from agents.learning.agent_trainer import make_agent_trainer, prepare
from agents.map_training.building import (
    fit_features,
    greedy_agent,
    make_map_transformer,
    map_features,
    start_from,
)
from agents.map_training.losses import MapBatch, MapLoss
from agents.map_transformer.agent import MapAgent
from agents.settings import MapTrainConfig
from agents.transformer.text import PretrainedTextEncoder
from envs.episodes import Episode
from envs.navigation.references import ReferencePaths
from training import distributed
from training.batches import BucketedBatchOrder
from training.learners import Selection
from training.optimisers import make_optimiser
from training.trainer import Trainer

_DECISIONS = 61  # stream of random numbers


class MapLearner(WalkingLearner):
    """A map agent, and the episodes to learn from.

    Args:
        config: Settings of the run.
    """

    config: MapTrainConfig
    network: MapLoss

    def __init__(self, config: MapTrainConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.metadata = feature_metadata(config)
        self.env = make_env(config, "train", run_tokenizer(config))
        self.features = map_features(self.env, config.device)
        self.references = ReferencePaths.of(self.env.nav_world, self.env.episodes)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.model = self.saved = make_map_transformer(config, self.env)
        reserve_text_states(self.model.text, [self.env, *self.evaluation_envs.values()])
        fit_features(self.model, self.env)
        if config.start_from is not None and config.resume is None:
            shared = start_from(config.start_from, config, self.model, self.env)
            if distributed.rank() == 0:
                words = len(self.env.tokenizer)
                print(f"{shared} of {words} words have an embedding in {config.start_from}")
        self.network = MapLoss(self.model, config)
        self.clipped: list[nn.Module] = [self.network]
        tuned = None
        if isinstance(self.model.text, PretrainedTextEncoder) and self.model.text.frozen is None:
            tuned = self.model.text
        rate = config.language_learning_rate
        self.optimiser = make_optimiser(self.network, config.optimiser, tuned, rate)
        self._loss = distributed.wrap_ddp(self.network)
        self._groups = episode_groups(self.env.episodes, config.instructions_per_path)
        groups = max(1, config.batch_size // config.instructions_per_path)
        lengths = [len(self.env.episodes[group[0]].instruction) for group in self._groups]
        self._order = BucketedBatchOrder(
            [str(index) for index in range(len(self._groups))],
            lengths,
            2 * groups * distributed.world_size(),
            config.bucket,
            config.seed,
            2 * distributed.world_size(),
        )

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of two minibatches and return the figures to log."""
        batch = self.batch(iteration)
        loss, figures = self._loss(self.env, self.features, self.references, batch)
        loss.backward()
        return figures

    def batch(self, iteration: int) -> MapBatch:
        """Return the episodes of an iteration (from 0) that belong to this rank."""
        config, rank, world_size = self.config, distributed.rank(), distributed.world_size()
        pairs = np.array(self._order.batch(iteration)).astype(int).reshape(-1, 2)
        halves = [
            np.concatenate([self._groups[group] for group in half])
            for half in pairs[rank::world_size].T
        ]
        rng = np.random.default_rng([config.seed, _DECISIONS, iteration])
        draws = Draws(rng, len(halves[1]), rank, world_size)
        weight = config.teacher_weight
        if iteration < config.cloning_iterations or not config.walks:
            weight = (weight + config.sampled_weight) or 1.0
            return MapBatch(np.concatenate(halves), halves[1][:0], draws, weight)
        cloned = halves[0] if weight else halves[0][:0]
        return MapBatch(cloned, halves[1], draws, weight)

    def agent(self, split: str) -> MapAgent:
        """Return the greedy agent on a split."""
        return greedy_agent(self.config, self.model, self.evaluation_envs[split])


def episode_groups(episodes: Sequence[Episode], size: int) -> list[np.ndarray]:
    """Group the indices of episodes with the same path, at most `size` in a group."""
    paths: dict[tuple[str, tuple[str, ...], float], list[int]] = {}
    for index, episode in enumerate(episodes):
        paths.setdefault((episode.scan, episode.path, episode.heading), []).append(index)
    return [
        np.array(indices[start : start + size])
        for indices in paths.values()
        for start in range(0, len(indices), size)
    ]


def map_trainer(config: MapTrainConfig) -> tuple[Trainer, MapLearner]:
    """Build the trainer of a map agent and its learner."""
    prepare(config)
    learner = MapLearner(config)
    return make_agent_trainer(config, learner), learner


@distributed.destroys_process_group
def train_map_agent(config: MapTrainConfig) -> Results:
    """Train a map agent, compare it with the baselines, print a table, write RUN/results.json."""
    return train_and_compare(*map_trainer(config))
