"""Training loop of fine-tuning, in one process or under torchrun."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.training import distributed
from clipnav.training.checkpoints import save_model
from clipnav.training.learners import Selection, Summary
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import GroupedOrder
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning, ImageSentences
from clipnav.vl_tasks.clip_vil_p.optimisers import JointOptimiser
from clipnav.vl_tasks.settings.configs import FineTunableConfig
from clipnav.vl_tasks.training import Config, ScoredTask, train_task


class FineTuningTask(Protocol):
    """Training sentences, targets and evaluation of a task."""

    metric: str
    """Name of the `evaluate` metric that selects the best checkpoint."""
    inputs: Any
    """Network and inputs: a `FineTuning`."""
    encoded: Any
    """Training `ImageSentences`."""

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of training sentences `rows`."""
        ...

    def evaluate(self) -> Summary:
        """Return the metrics of the split `select_by`."""
        ...

    def start(self, run: Path) -> None:
        """Write the files of a new run besides settings and weights."""
        ...


class FineTuningLearner:
    """Adapter from a task to the `Trainer`, with both optimisers and batches of one orientation.

    Under torchrun, each process computes the gradients of its part of a batch, and all of them
    together those of one process with a batch of all parts.

    Args:
        task: Task to train.
    """

    def __init__(self, task: FineTuningTask) -> None:
        self._task = task
        self._model: FineTuning = task.inputs
        self._sentences: ImageSentences = task.encoded
        config = self._config = self._model.config
        self.network: nn.Module = self._model.network
        self.metadata = self._model.metadata
        self.selection = Selection(config.select_by, task.metric, config.scoring)
        self.clipped = [self.network]
        trunk = self._model.network.trunk
        self.optimiser = JointOptimiser(
            self.network,
            trunk,
            config.optimiser,
            config.clip_vil_p.trunk_optimiser,
            config.clip_vil_p.precision,
        )
        ranks = distributed.world_size()
        self._order = GroupedOrder(
            self._sentences.portrait,
            config.batch_size * ranks,
            config.seed,
            ranks,
            groups=self._sentences.groups,
            group_size=self._sentences.group_size,
        )
        self._wrapped = distributed.wrap_ddp(self.network)  # copies the weights of rank 0
        self._batches: Iterator = iter(())
        self._next = -1  # iteration whose batches come next

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of the batches of an iteration (from 0)."""
        settings = self._config.clip_vil_p
        if iteration != self._next:
            first = iteration * settings.accumulate
            self._batches = self._model.endless(self._sentences, self._order, first)
        self._next = iteration + 1
        self.optimiser.set_trunk_rate(iteration)
        total = 0.0
        for _ in range(settings.accumulate - 1):
            with distributed.unsynchronised(self._wrapped):
                total += self._add_gradient()
        total += self._add_gradient()
        return {
            "loss": distributed.mean_over_ranks(total, torch.device(self._config.device)),
            "trunk_learning_rate": self.optimiser.trunk_rate,
            **self.optimiser.unscale(),
        }

    def evaluate(self) -> dict[str, Summary]:
        """Return the metrics of the split `select_by`."""
        return {self._config.select_by: self._task.evaluate()}

    def start(self, run: Path) -> None:
        """Write the files of the task for a new run."""
        self._task.start(run)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the best weights."""
        metadata = {**self.metadata, "iteration": str(iteration)}
        save_model(run, self._model.network, metadata)

    def _add_gradient(self) -> float:
        """Add the gradient of the next batch; return its loss, divided by the batches."""
        batch = distributed.on_all_ranks(lambda: next(self._batches))
        logits = self._model.compute(batch, self._wrapped)
        loss = self._task.loss_of(logits, batch[0]) / self._config.clip_vil_p.accumulate
        (loss * self.optimiser.loss_scale).backward()
        return loss.item()


def make_fine_tuning_trainer(config: FineTunableConfig, task: FineTuningTask) -> Trainer:
    """Build the trainer of a task, for a new run or the run to resume."""
    noise = partial(
        rank_iteration_seed, config.seed, Stream.PAIR_FINE_TUNING_NOISE, rank=distributed.rank()
    )
    return Trainer(config, FineTuningLearner(task), noise)


@distributed.destroys_process_group
def fine_tune(config: Config, make_task: Callable[[Config], ScoredTask]) -> None:
    """Fine-tune a pre-trained network on a task; see `train_task`."""
    distributed.join(config.device)
    train_task(config, make_task, make_fine_tuning_trainer)
