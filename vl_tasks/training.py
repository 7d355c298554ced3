"""Training of the vision-and-language tasks: what a task defines, and the only way in, `train`."""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from clipnav.storage import write_text
from clipnav.training import distributed
from clipnav.training.batches import ShuffledBatchOrder
from clipnav.training.distributed import set_up_torch
from clipnav.training.learners import Optimiser, SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.run_folder import check_run
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer
from clipnav.vl_tasks.specs import task_spec

_LOG = logging.getLogger(__name__)


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


class Task(SavedNetwork, ABC):
    """Network, training records and evaluation of a task, as the `Trainer` trains them.

    By default a weight update uses the gradient of `loss` for a batch of shuffled records.

    Attributes:
        config: Settings of the run, a `RunConfig`.
        network: Network with all parameters.
        metadata: Metadata of the features, which must match when the weights are loaded.
        metric: Name of the `evaluate` metric that selects the best checkpoint; larger is better.
        records: Number of training records.
    """

    config: Any
    network: Any
    metric = "accuracy"
    records: int

    @property
    def selection(self) -> Selection:
        """Selection of the best weights."""
        return Selection(self.config.select_by, self.metric, self.config.scoring)

    @property
    def clipped(self) -> Sequence[nn.Module]:
        """Modules whose gradients are clipped separately."""
        return [self.network]

    @property
    def optimiser(self) -> Optimiser:
        """Optimiser of all weights."""
        return self._default_optimiser

    @cached_property
    def _default_optimiser(self) -> Optimiser:
        return make_optimiser(self.network, self.config.optimiser)

    @cached_property
    def _order(self) -> ShuffledBatchOrder:
        return ShuffledBatchOrder(self.records, self.config.batch_size, self.config.seed)

    def noise(self, iteration: int) -> int:
        """Return the seed of torch's random numbers in an iteration."""
        return iteration_seed(self.config.seed, Stream.TASK_NOISE, iteration)

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of an iteration (from 0), and return its figures."""
        loss, figures = self.loss(self._order.batch(iteration))
        loss.backward()
        return {"loss": loss.item(), **figures}

    def loss(self, rows: np.ndarray) -> tuple[torch.Tensor, Summary]:
        """Return the loss of training records `rows` (B,), and further metrics to log."""
        raise NotImplementedError

    def evaluate(self) -> dict[str, Summary]:
        """Return the metrics of the split `select_by`."""
        with torch.inference_mode():
            return {self.config.select_by: self.score(self.config.select_by)}

    @abstractmethod
    def score(self, split: str) -> Summary:
        """Return the metrics of a split that select the best checkpoint."""

    def start(self, run: Path) -> None:
        """Write the files of a new run besides settings and weights, such as vocabularies."""

    @abstractmethod
    def final_scores(self, split: str) -> Iterable[FinalScores]:
        """Return the scores of the current weights on a split."""

    def predictions(self, split: str) -> list[dict[str, Any]]:
        """Return the predictions for a split as records of a submission."""
        raise NotImplementedError

    def write_submission(self, split: str, path: Path) -> None:
        """Write the predictions of the current weights for a split."""
        write_on_first_rank(path, self.predictions(split))


def make_trainer(task: Task) -> Trainer:
    """Build the `Trainer` of a task."""
    return Trainer(task.config, task, task.noise)


@distributed.destroys_process_group
def train(config: Any) -> None:
    """Train a task, evaluate the best checkpoint, and print and save the scores.

    Args:
        config: Settings of the run, a `RunConfig`; the row `config.task` makes the task.

    Raises:
        OSError: A data file cannot be read, or the output already contains a run.
        ModuleNotFoundError: A package is missing.
        UserError: A data file is invalid; names file and record. Or torchrun started several
            processes for a training in a single one.
        DivergedError: The training diverged.
    """
    if config.is_parallel:
        distributed.join(config.device)
    train_task(config)


def train_task(config: Any) -> Task:
    """Train a task in the processes that joined, see `train`, and return it."""
    distributed.check_joined("pre-training, and questions or entailment with --model clip-vil-p")
    prepare(config)
    check_run(config)
    task: Task = task_spec(config.task).call("task", config)
    trainer = make_trainer(task)
    trainer.train()
    task.load_model(trainer.run)
    task.network.eval()
    results: dict[str, Any] = {}
    for split in config.evaluated_splits:
        for name, scores, text in task.final_scores(split):
            results[name] = scores
            show(text)
    trainer.report(results)
    submitted = getattr(config, "submit", None)
    if submitted is not None:
        path = trainer.run / f"submission_{submitted}.json"
        task.write_submission(submitted, path)
        show(f"the predictions for split {submitted} are in {path}")
    show(f"the run is in {trainer.run}")
    return task


def warn_of_training_data(
    config: Any, splits: Iterable[str], effect: str = "its accuracy is measured on training data"
) -> None:
    """Warn of splits that are among the training splits."""
    for split in splits:
        if split in config.train_splits:
            _LOG.warning("%s is one of --train-splits: %s", split, effect)


def show(text: str) -> None:
    """Print a line, on the first process of torchrun only."""
    if distributed.rank() == 0:
        print(text)


def write_on_first_rank(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write records as a JSON list, on the first process of torchrun only."""
    if distributed.rank() == 0:
        write_text(path, json.dumps(rows, ensure_ascii=False))


def prepare(config: Any) -> None:
    """Set up torch before the network is built."""
    # On CPUs, "medium" is up to twice as fast through oneDNN. It is exact on CPUs without bf16
    # instructions; with them, factors of matrix products are rounded to bf16.
    precision = "medium" if config.device == "cpu" else "high"
    set_up_torch(config.device, config.threads, precision, config.seed)
