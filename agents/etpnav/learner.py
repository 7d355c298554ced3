"""Training of ETPNav: walks with scheduled sampling, whose decisions a teacher labels."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.acting.evaluation import Results
from clipnav.agents.continuous.evaluation import evaluate_split, validate
from clipnav.agents.continuous.walking import walk_batch
from clipnav.agents.etpnav.agent import GhostDecisions, GhostWalker
from clipnav.agents.etpnav.conversion import start_from
from clipnav.agents.etpnav.network import EtpNavNetwork
from clipnav.agents.etpnav.settings import EtpNavTrainConfig
from clipnav.agents.etpnav.task import EtpNavTask, training_task
from clipnav.agents.etpnav.teacher import GhostTeacher
from clipnav.agents.learning.agent_learner import AgentLearner
from clipnav.agents.maps.experts import NO_TARGET
from clipnav.agents.transformer.text import PretrainedTextEncoder
from clipnav.envs.episodes.episode import check_goals
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.checkpoints import VOCABULARY
from clipnav.training.learners import Selection, Summary
from clipnav.training.optimisers import make_optimiser

Figures = dict[str, float]


class WalkLoss(nn.Module):
    """A network and the loss of its training.

    A call walks the episodes of an iteration, so that DistributedDataParallel can be used.
    """

    def __init__(self, model: EtpNavNetwork, task: EtpNavTask) -> None:
        super().__init__()
        self.model = model
        self._task, self._config = task, task.config
        self._env = task.env("train", self._config.batch_size)
        self._numbers = {name: k for k, name in enumerate(self._env.split.instr_ids)}

    def forward(self, names: Sequence[str], iteration: int) -> tuple[Tensor, Figures]:
        """Walk episodes; return the loss and the figures to log.

        Args:
            names: `instr_id` of each episode.
        """
        task, numbers = self._task, [self._numbers[name] for name in names]
        walker = GhostWalker(
            self.model,
            task.surroundings,
            task.simulator,
            task.settings,
            self._config,
            partial(scheduled, self._config.teacher_probability(iteration)),
            [partial(self._teacher, number) for number in numbers],
            (iteration, distributed.rank()),
        )
        walk_batch(self._env, walker, numbers)
        loss, figures = decision_loss(walker.decisions)
        figures["decisions"] = figures["decisions"] / len(names)
        figures["teacher"] = self._config.teacher_probability(iteration)
        return loss, {"loss": loss.item(), **figures}

    def _teacher(self, number: int, rng: np.random.Generator) -> GhostTeacher:
        """Return the teacher of an episode of the training split."""
        episode = self._env.episodes[number]
        reference = None
        if self._config.expert == "ndtw":
            reference = self._env.experts.locations(number)
        floor = self._task.simulator.floor(episode.scan)
        return GhostTeacher(floor, np.array(episode.goal), rng, reference, self._config.sub_goals)


def scheduled(probability: float, scores: np.ndarray, label: int, rng: np.random.Generator) -> int:
    """Choose the teacher's map token with a probability; otherwise sample from the scores (N,)."""
    if rng.random() < probability and label != NO_TARGET:
        return label
    chances = np.exp(scores.astype(float) - scores.max())
    return int(rng.choice(len(chances), p=chances / chances.sum()))


def decision_loss(decisions: Sequence[GhostDecisions]) -> tuple[Tensor, Figures]:
    """Return the mean cross-entropy of decisions, and figures to log.

    As in ETPNav, decisions without a target are part of the number of decisions.
    """
    losses, agreed, count = [], 0, 0
    for scores, labels in decisions:
        targets = torch.from_numpy(labels).to(scores.device)
        losses.append(
            functional.cross_entropy(
                scores.float(), targets, reduction="sum", ignore_index=NO_TARGET
            )
        )
        agreed += int((scores.detach().argmax(1) == targets).sum())
        count += len(labels)
    loss = torch.stack(losses).sum() / count
    return loss, {"agreement": agreed / count, "decisions": float(count)}


class EtpNavLearner(AgentLearner):
    """ETPNav, and the episodes to learn from."""

    network: WalkLoss
    saved: EtpNavNetwork

    def __init__(self, config: EtpNavTrainConfig) -> None:
        """Build everything from the settings of a run."""
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.task = training_task(config)
        for split in config.evaluation_splits:
            check_goals(self.task.split(split).episodes, f"--evaluation-splits {split}")
        self.data_metadata = self.task.metadata
        self.saved = self.task.make_network()
        if config.start_from is not None and config.resume is None:
            start_from(config.start_from, self.task, self.saved)
        self.network = WalkLoss(self.saved, self.task)
        self.clipped = [self.network]
        text, rate = self.saved.text, config.language_learning_rate
        is_tuned = isinstance(text, PretrainedTextEncoder) and text.frozen is None
        slow = text if is_tuned else None
        self.optimiser = make_optimiser(self.network, config.optimiser, slow, rate)
        self._loss = distributed.wrap_ddp(self.network)
        episodes = self.task.split("train").episodes
        self._order = BucketedBatchOrder(
            [episode.instr_id for episode in episodes],
            [len(episode.instruction) for episode in episodes],
            config.batch_size * distributed.world_size(),
            config.bucket,
            config.seed,
            distributed.world_size(),
        )

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.task.tokenizer.save(run / VOCABULARY)

    def backward(self, iteration: int) -> Figures:
        """Add the gradient of an iteration (from 0) and return the figures to log."""
        names = self._order.batch(iteration)[distributed.rank() :: distributed.world_size()]
        loss, figures = self._loss(names, iteration)
        loss.backward()
        return figures

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the summaries of greedy walks on some episodes of the evaluation splits."""
        return validate(self.task, lambda: self.task.walker(self.saved))

    def results(self) -> Results:
        """Return the summaries of the agent and the baselines on every evaluation split."""
        self.network.eval()
        walker, episodes = self.task.walker(self.saved), self.config.results_episodes
        return {
            split: evaluate_split(self.task, walker, split, episodes)
            for split in self.config.evaluation_splits
        }
