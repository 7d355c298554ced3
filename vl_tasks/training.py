"""Runs of all tasks."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from training.batches import ShuffledBatchOrder
from training.learners import Summary
from training.optimisers import make_optimiser
from training.setup import iteration_seed, set_up_torch
from training.trainer import Trainer
from vl_tasks.settings.configs import RunConfig

_NOISE = 17

Record = TypeVar("Record")


class Task(Protocol):
    """A network, the records that it learns from, and what its weights are worth."""

    metric: str
    """Which of the figures of `evaluate` chooses the best weights, larger ones."""
    records: int
    """How many the training data has."""

    @property
    def network(self) -> nn.Module:
        """All that is learnt."""
        ...

    def loss(self, rows: np.ndarray) -> tuple[torch.Tensor, Summary]:
        """Loss of some records (B,) of the training data, and other figures to log."""
        ...

    def evaluate(self) -> Summary:
        """Figures of the split that chooses."""
        ...

    def start(self, run: Path) -> None:
        """Write what a fresh run's folder holds besides settings and weights."""
        ...

    def save(self, run: Path, iteration: int) -> None:
        """Write the weights to use."""
        ...


class TaskLearner:
    """A task, learnt record by record.

    Args:
        config: Settings.
        task: What is learnt.
    """

    def __init__(self, config: RunConfig, task: Task) -> None:
        self._config, self._task = config, task
        self.network = task.network
        self.metric = task.metric
        self.clipped = [task.network]
        self.optimiser = make_optimiser(task.network, config.optimiser)
        self._order = ShuffledBatchOrder(task.records, config.batch_size, config.seed)

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch."""
        loss, figures = self._task.loss(self._order.batch(iteration))
        loss.backward()
        return {"loss": loss.item(), **figures}

    def evaluate(self) -> dict[str, Summary]:
        """Figures of the split that chooses."""
        with torch.inference_mode():
            return {self._config.select_by: self._task.evaluate()}

    def start(self, run: Path) -> None:
        """Write what the task needs."""
        self._task.start(run)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the weights to use."""
        self._task.save(run, iteration)


def make_task_trainer(config: RunConfig, task: Task) -> Trainer:
    """Build the trainer of a task: a new run, or the one that `config.resume` names."""

    def noise(iteration: int) -> int:
        return iteration_seed(config.seed, _NOISE, iteration)

    return Trainer(config, TaskLearner(config, task), noise)


def prepare(config: RunConfig) -> None:
    """Set up torch before anything is built.

    Raises:
        ValueError: torch cannot compute on the device.
    """
    # On processors without TF32 "medium" is as exact and, through oneDNN, up to twice as fast.
    precision = "medium" if config.device == "cpu" else "high"
    set_up_torch(config.device, config.threads, precision, config.seed)


def in_batches(count: int, size: int) -> Sequence[np.ndarray]:
    """Places 0..count - 1 in pieces of `size`."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def is_held_out(image_id: int | str) -> bool:
    """Whether a picture is one of the twentieth that "held-out" takes out of training."""
    return zlib.crc32(str(image_id).encode()) % 20 == 0


def parted(
    records: Sequence[Record], picture: Callable[[Record], int | str]
) -> tuple[list[Record], list[Record]]:
    """Part records into those of held-out pictures and those to learn from.

    Of few pictures at least one is held out.

    Args:
        records: To be parted.
        picture: Gives a record's image id.

    Raises:
        ValueError: All records are about one picture.
    """
    ids = {picture(record) for record in records}
    if len(ids) < 2:
        raise ValueError(
            "--select-by held-out: all training records are about one picture; more are needed"
        )
    held = {one for one in ids if is_held_out(one)}
    if not held or held == ids:
        held = {min(ids, key=lambda one: zlib.crc32(str(one).encode()))}
    return (
        [record for record in records if picture(record) in held],
        [record for record in records if picture(record) not in held],
    )
