"""Training of Seq2Seq and CMA: collected demonstrations (expert, DAgger), losses and learner."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.acting.evaluation import table
from clipnav.agents.continuous.collecting import DEMONSTRATIONS, Collector, Demonstration
from clipnav.agents.continuous.evaluation import Results, evaluate_split, validate
from clipnav.agents.continuous.networks import ContinuousNetwork, Output, Steps
from clipnav.agents.continuous.settings import ContinuousTrainConfig
from clipnav.agents.continuous.tasks import ContinuousTask
from clipnav.agents.continuous.walking import never
from clipnav.envs.continuous.measures import continuous_metrics
from clipnav.envs.episodes.episode import check_goals
from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY
from clipnav.training.distributed import set_up_torch
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.settings import CONFIG, differences, read_config
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer

_LARGEST_LOSS = 1e4
# Settings on which the walks of DAgger's rounds do not depend.
_AFTER_ROUNDS = frozenset(
    "resume output config preset minutes evaluate_every demonstrations evaluation_splits "
    "evaluation_episodes results_episodes evaluation_batch_size select_by select_metric threads "
    "device track".split()
)


class DemonstrationBatch(NamedTuple):
    """B demonstrations, padded to T steps.

    Attributes:
        ids: (B, L) int64 words.
        labels: (B, T) int64 actions of the expert, -100 in padding.
        weights: (B, T) weights of the steps, 0 in padding.
        progress: (B, T) progress towards the goal.
    """

    ids: Tensor
    steps: Steps
    labels: Tensor
    weights: Tensor
    progress: Tensor


def make_batch(
    walks: Sequence[Demonstration], ids: np.ndarray, inflection_weight: float, device: str
) -> DemonstrationBatch:
    """Stack demonstrations.

    Args:
        ids: (B, L) words of their instructions.
        inflection_weight: Weight of a step whose label differs from the one before, and of the
            first step; other steps have weight 1.
    """

    def padded(name: str, value: float, kind: torch.dtype) -> Tensor:
        parts = [torch.from_numpy(np.asarray(getattr(walk, name))).to(kind) for walk in walks]
        return torch.nn.utils.rnn.pad_sequence(parts, True, value).to(device)

    labels = padded("labels", -100, torch.long)
    changes = torch.ones_like(labels, dtype=torch.bool)
    changes[:, 1:] = labels[:, 1:] != labels[:, :-1]
    weights = torch.where(changes, inflection_weight, 1.0).masked_fill(labels < 0, 0.0)
    steps = Steps(
        padded("rgb", 0, torch.float32),
        padded("depth", 0, torch.float32),
        padded("previous", 0, torch.long),
    )
    words = torch.from_numpy(ids).long().to(device)
    return DemonstrationBatch(words, steps, labels, weights, padded("progress", 0, torch.float32))


def imitation_loss(output: Output, batch: DemonstrationBatch) -> Tensor:
    """Return the mean over walks of the weighted mean cross entropy of each walk."""
    entropy = functional.cross_entropy(
        output.logits.flatten(0, 1), batch.labels.flatten(), reduction="none", ignore_index=-100
    ).view_as(batch.weights)
    weights = batch.weights
    return ((weights * entropy).sum(1) / weights.sum(1)).mean()


def progress_loss(output: Output, batch: DemonstrationBatch) -> Tensor:
    """Return the mean squared error of the predicted progress over all steps."""
    assert output.progress is not None
    mask = batch.labels >= 0
    return functional.mse_loss(output.progress[mask], batch.progress[mask])


class ContinuousLearner(SavedNetwork):
    """Imitation of the expert in continuous environments."""

    network: ContinuousNetwork

    def __init__(self, config: ContinuousTrainConfig) -> None:
        self.config = config
        self._replaces_run = _has_other_settings(config)
        self.selection = Selection(config.select_by, config.select_metric)
        self.task = ContinuousTask(config, config.resume)
        for split in config.evaluation_splits:
            check_goals(self.task.split(split).episodes, f"--evaluation-splits {split}")
        self.check_interruption: Callable[[], None] = never
        self.metadata = self.task.metadata
        self.network = self.task.make_network()
        self.clipped: list[nn.Module] = [self.network]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        key = self.task.features.key | {
            "dataset": self.config.dataset,
            "world": self.config.world,
            "settings": str(self.task.settings),
            "floor": "navigation mesh",
        }
        if not self.config.vision:
            key["vision"] = "no"
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        default = cache_dir() / "demonstrations" / f"{self.config.dataset}-ce-{digest}"
        self.collector = Collector(
            config,
            self.task.env("train", config.collect_batch_size),
            self.task.features,
            *(self.config.demonstrations or default, key),
        )

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch and return the figures to log.

        The first iteration of a round collects its demonstrations.
        """
        config = self.config
        number = config.round_of(iteration)
        self.collector.collect(number, self.network)
        rng = Stream.CONTINUOUS_BATCHES.rng(config.seed, iteration)
        walks = self.collector.draw(rng, config.batch_size)
        ids = self.task.split("train").tokens[[walk.episode for walk in walks]]
        if not config.use_instructions:
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
        return validate(self.task, lambda: self.task.walker(self.network), self.check_interruption)

    def start(self, run: Path) -> None:
        """Write the vocabulary, and delete the walks of a run that was killed here earlier.

        The folder of a run without saved weights can be used again. Its walks are kept if the
        settings are the same, because they would be collected again as they are.
        """
        if self._replaces_run:
            shutil.rmtree(run / DEMONSTRATIONS, ignore_errors=True)
        self.task.tokenizer.save(run / VOCABULARY)


def _has_other_settings(config: ContinuousTrainConfig) -> bool:
    """Return whether the output folder is that of a run with other settings."""
    if config.resume is not None or config.output is None:
        return False
    if not (config.output / CONFIG).is_file():
        return False
    try:
        earlier = read_config(config.output, ContinuousTrainConfig)
    except UserError:  # damaged, or of another training
        return True
    return bool(differences(earlier, config, _AFTER_ROUNDS))


def continuous_trainer(config: ContinuousTrainConfig) -> tuple[Trainer, ContinuousLearner]:
    """Build the trainer of a continuous agent and its learner."""
    set_up_torch(config.device, config.threads, "highest", config.seed)
    learner = ContinuousLearner(config)
    noise = partial(iteration_seed, config.seed, Stream.CONTINUOUS_NOISE)
    trainer = Trainer(config, learner, noise, _LARGEST_LOSS)
    learner.check_interruption = trainer.check_interruption
    learner.collector.start(trainer.run, trainer.check_interruption)
    return trainer, learner


def train_continuous(config: ContinuousTrainConfig) -> Results:
    """Train a continuous agent, compare its best weights with baselines and write the results."""
    trainer, learner = continuous_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    agent = learner.task.walker(learner.network)
    results = {
        split: evaluate_split(learner.task, agent, split, config.results_episodes)
        for split in config.evaluation_splits
    }
    trainer.report(results)
    print(table(results, continuous_metrics()))
    print(f"Run: {trainer.run}")
    return results
