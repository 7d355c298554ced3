"""Training of Seq2Seq and CMA by teacher forcing and DAgger."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from gymnasium.vector import AutoresetMode
from torch import nn

from agents.continuous.collecting import Collector
from agents.continuous.features import FrozenFeatures
from agents.continuous.losses import imitation_loss, make_batch, progress_loss
from agents.continuous.networks import make_network
from agents.continuous.settings import ContinuousTrainConfig
from agents.continuous.tables import results_table
from agents.continuous.walking import (
    ExpertWalker,
    ForwardWalker,
    NetworkWalker,
    RandomWalker,
    Walker,
    spread,
    walk_all,
)
from encoders.clip import ClipEncoder
from envs.continuous.environments.vector_env import ContinuousVectorEnv
from envs.continuous.episodes import ContinuousSplit, load_continuous_split
from envs.continuous.house_simulator import HouseSimulator
from envs.continuous.measures import summarise_walks
from envs.continuous.settings import ContinuousSettings, task_settings
from envs.tokenizers import load_tokenizer
from storage import cache_dir
from training.checkpoints import VOCABULARY, load_model, save_model
from training.learners import Selection, Summary
from training.optimisers import make_optimiser
from training.setup import iteration_seed, set_up_torch
from training.trainer import Trainer

_NOISE, _BATCHES, _BASELINES = 73, 74, 75
_LARGEST_LOSS = 1e4

Results = dict[str, dict[str, Summary]]


class ContinuousLearner:
    """Imitation of the expert in continuous environments.

    Args:
        config: Settings of the run.

    Raises:
        FileNotFoundError: A split or an encoder does not exist.
        ValueError: A file is damaged, or settings do not fit.
    """

    def __init__(self, config: ContinuousTrainConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        name, _, pretrained = config.encoder.partition(":")
        encoder = ClipEncoder.load(name, pretrained or None, device=config.device)
        self.features = FrozenFeatures(encoder, config.depth_pixels, config.vision)
        self.settings = self._settings()
        self._simulator = HouseSimulator(self.settings)
        vocabulary = config.resume / VOCABULARY if config.resume else None
        load = partial(load_continuous_split, config.dataset, world=config.world)
        train = load(split="train", tokenizer=load_tokenizer(vocabulary) if vocabulary else None)
        self.tokenizer = train.tokenizer
        self.splits: dict[str, ContinuousSplit] = {"train": train}
        for split in config.evaluation_splits:
            self.splits[split] = load(split=split, tokenizer=self.tokenizer)
        self.network = make_network(
            config.network, len(self.tokenizer), self.features.grid, self.settings.num_actions
        ).to(config.device)
        self.metadata = {**self.features.metadata, "task": f"{config.dataset}-ce"}
        self.clipped: list[nn.Module] = [self.network]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self.collector = Collector(
            config, self._env("train", config.collect_batch_size), self.features, *self._store()
        )

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch and return the figures to log.

        The first iteration of a round collects its demonstrations.
        """
        config = self.config
        number = config.round_of(iteration)
        self.collector.collect(number, self.network)
        rng = np.random.default_rng([config.seed, _BATCHES, iteration])
        walks = self.collector.draw(rng, config.batch_size)
        ids = self.splits["train"].tokens[[walk.episode for walk in walks]]
        if not config.reads_instructions:
            ids = np.zeros_like(ids)
        batch = make_batch(walks, ids, config.inflection_weight, config.device)
        words = self.network.text(batch.ids)
        output = self.network(words, batch.steps, self.network.first_state(len(walks)))
        loss = imitation_loss(output, batch)
        figures = {"imitation": loss.item(), "round": float(number)}
        if output.progress is not None:
            progress = progress_loss(output, batch)
            figures["progress"] = progress.item()
            loss = loss + config.network.progress_weight * progress
        loss.backward()
        return {"loss": loss.item(), **figures}

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the summaries of greedy walks on some episodes of the evaluation splits."""
        return {
            split: self.walk(split, self.walker(), self.config.evaluation_episodes)
            for split in self.config.evaluation_splits
        }

    def walker(self) -> NetworkWalker:
        """Return the agent with the current weights and greedy actions."""
        return NetworkWalker(self.network, self.features, self.config.reads_instructions)

    def walk(self, split: str, walker: Walker, episodes: int | None) -> Summary:
        """Return the mean measures of an agent's walks on a split."""
        env = self._env(split, self.config.evaluation_batch_size, isinstance(walker, NetworkWalker))
        chosen = spread(len(env.episodes), episodes)
        return summarise_walks(walk_all(env, walker, chosen))

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.tokenizer.save(run / VOCABULARY)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights."""
        save_model(run, self.network, {**self.metadata, "iteration": str(iteration)})

    def load_model(self, run: Path) -> None:
        """Load the weights of a run."""
        load_model(run, self.network, self.metadata)

    def _settings(self) -> ContinuousSettings:
        size = self.features.picture_size
        return task_settings(
            self.config.dataset,
            observe=("rgb", "depth") if self.config.vision else (),
            rgb_size=size,
            depth_size=size,
            teacher=self.config.teacher,
        )

    def _env(self, split: str, size: int, draws: bool = True) -> ContinuousVectorEnv:
        settings = self.settings if draws else replace(self.settings, observe=())
        return ContinuousVectorEnv(
            self.splits[split], self._simulator, size, settings, AutoresetMode.DISABLED
        )

    def _store(self) -> tuple[Path, dict[str, str]]:
        """Return the folder and the key of the expert's demonstrations."""
        key = self.features.key | {
            "dataset": self.config.dataset,
            "world": self.config.world,
            "settings": str(self.settings),
        }
        if not self.config.vision:
            key["vision"] = "no"
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        default = cache_dir() / "demonstrations" / f"{self.config.dataset}-ce-{digest}"
        return self.config.demonstrations or default, key


def continuous_trainer(config: ContinuousTrainConfig) -> tuple[Trainer, ContinuousLearner]:
    """Build the trainer of a continuous agent and its learner."""
    set_up_torch(config.device, config.threads, "highest", config.seed)
    learner = ContinuousLearner(config)
    trainer = Trainer(config, learner, partial(iteration_seed, config.seed, _NOISE), _LARGEST_LOSS)
    learner.collector.start(trainer.run)
    return trainer, learner


def train_continuous(config: ContinuousTrainConfig) -> Results:
    """Train a continuous agent, compare its best weights with baselines and write the results.

    Returns:
        Mean measures by split and agent: the trained one, "random" and "forward" of VLN-CE, and
        the expert.
    """
    trainer, learner = continuous_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    circle = learner.settings.turns_per_circle
    results: Results = {}
    for split in config.evaluation_splits:
        walkers: dict[str, Walker] = {
            config.network.kind: learner.walker(),
            "random": RandomWalker(iteration_seed(config.seed, _BASELINES, 0)),
            "forward": ForwardWalker(iteration_seed(config.seed, _BASELINES, 1), circle),
            "expert": ExpertWalker(),
        }
        results[split] = {
            name: learner.walk(split, walker, config.results_episodes)
            for name, walker in walkers.items()
        }
    trainer.report(results)
    print(results_table(results))
    print(f"Run: {trainer.run}")
    return results
