"""Training loop that all vision-and-language tasks share."""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import nn

from clipnav.training import distributed
from clipnav.training.batches import ShuffledBatchOrder
from clipnav.training.checkpoints import Network, load_model, save_model
from clipnav.training.devices import set_up_torch
from clipnav.training.learners import Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.run_folder import check_run
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.settings.configs import QuestionConfig, RunConfig
from clipnav.vl_tasks.settings.protocols import TorchSettings

_LOG = logging.getLogger(__name__)

Config = TypeVar("Config", bound=RunConfig)


class Task(Protocol):
    """Network, training records and evaluation of a task."""

    metric: str
    """Name of the `evaluate` metric that selects the best checkpoint; larger is better."""
    records: int
    """Number of training records."""

    @property
    def network(self) -> nn.Module:
        """Network with all parameters; it implements `clipnav.training.checkpoints.Network`."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the features, which must match when the weights are loaded."""
        ...

    def loss(self, rows: np.ndarray) -> tuple[torch.Tensor, Summary]:
        """Return the loss of training records `rows` (B,), and further metrics to log."""
        ...

    def evaluate(self) -> Summary:
        """Return the metrics of the split `select_by`."""
        ...

    def start(self, run: Path) -> None:
        """Write the files of a new run besides settings and weights, such as vocabularies."""
        ...


class FinalScores(NamedTuple):
    """Scores of the best weights on a split.

    Attributes:
        name: Name in results.json.
        scores: Values of results.json.
        text: Line to print.
    """

    name: str
    scores: Mapping[str, Any]
    text: str


class ScoredTask(Task, Protocol):
    """A task with final scores and submissions."""

    def final_scores(self, split: str) -> Iterable[FinalScores]:
        """Return the scores of the current weights on a split."""
        ...

    def write_submission(self, split: str, path: Path) -> None:
        """Write the predictions of the current weights for a split, on the first process."""
        ...


TrainedTask = TypeVar("TrainedTask", bound=ScoredTask)


class TaskLearner:
    """Adapter from a task to the `Trainer`, with the optimiser and the order of batches.

    Args:
        config: Settings of the run.
        task: Task to train.
    """

    def __init__(self, config: RunConfig, task: Task) -> None:
        self._config, self._task = config, task
        self.network = task.network
        self.metadata = task.metadata
        self.selection = Selection(config.select_by, task.metric, config.scoring)
        self.clipped = [task.network]
        self.optimiser = make_optimiser(task.network, config.optimiser)
        self._order = ShuffledBatchOrder(task.records, config.batch_size, config.seed)

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of one batch and return its metrics."""
        loss, figures = self._task.loss(self._order.batch(iteration))
        loss.backward()
        return {"loss": loss.item(), **figures}

    def evaluate(self) -> dict[str, Summary]:
        """Return the metrics of the split `select_by`."""
        with torch.inference_mode():
            return {self._config.select_by: self._task.evaluate()}

    def start(self, run: Path) -> None:
        """Write the files of the task for a new run."""
        self._task.start(run)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the best weights."""
        network = cast(Network, self.network)
        save_model(run, network, {**self.metadata, "iteration": str(iteration)})


def make_task_trainer(config: RunConfig, task: Task) -> Trainer:
    """Build the `Trainer` of a task."""
    noise = partial(iteration_seed, config.seed, Stream.TASK_NOISE)
    return Trainer(config, TaskLearner(config, task), noise)


def train_task(
    config: Config,
    make_task: Callable[[Config], TrainedTask],
    make_trainer: Callable[[Any, Any], Trainer] = make_task_trainer,
) -> TrainedTask:
    """Train a task, evaluate the best checkpoint, and print and save the scores.

    Args:
        config: Settings of the run.
        make_task: Function that builds the task.
        make_trainer: Function that builds the trainer of settings and task.

    Returns:
        The task with the best weights.

    Raises:
        FileExistsError: The output already contains a run.
        ModuleNotFoundError: A package is missing.
        UserError: torchrun started several processes for a training in a single one.
    """
    distributed.check_joined("pre-training, and questions or entailment with --model clip-vil-p")
    prepare(config)
    check_run(config)
    task = make_task(config)
    trainer = make_trainer(config, task)
    trainer.train()
    load_model(trainer.run, cast(Network, task.network), task.metadata)
    results: dict[str, Any] = {}
    for split in config.evaluated_splits:
        for name, scores, text in task.final_scores(split):
            results[name] = scores
            show(text)
    trainer.report(results)
    if config.submit is not None:
        path = trainer.run / f"submission_{config.submit}.json"
        task.write_submission(config.submit, path)
        show(f"the predictions for split {config.submit} are in {path}")
    show(f"the run is in {trainer.run}")
    return task


def warn_of_training_data(
    config: QuestionConfig,
    splits: Iterable[str],
    effect: str = "its accuracy is measured on training data",
) -> None:
    """Warn of splits that are also training splits.

    Args:
        config: Settings of the training.
        splits: Splits of its data on which the model is measured.
        effect: Second half of the message.
    """
    for split in splits:
        if split in config.train_splits:
            _LOG.warning("%s is one of --train-splits: %s", split, effect)


def show(text: str) -> None:
    """Print a line, on the first process of torchrun only."""
    if distributed.rank() == 0:
        print(text)


def prepare(config: TorchSettings) -> None:
    """Set up torch before the network is built.

    Raises:
        UserError: torch does not support the device.
    """
    # On CPUs, "medium" is up to twice as fast through oneDNN. It is exact on CPUs without bf16
    # instructions; with them, factors of matrix products are rounded to bf16.
    precision = "medium" if config.device == "cpu" else "high"
    set_up_torch(config.device, config.threads, precision, config.seed)
