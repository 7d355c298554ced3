"""Runs of all tasks."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from training.devices import check_device
from training.learners import Summary
from training.optimisers import make_optimiser
from training.trainer import Trainer
from vl_tasks.settings.configs import RunConfig

_NOISE, _ORDER = 17, 29

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


class BatchOrder:
    """Which records each iteration takes: all of them in an order of their own in each epoch.

    A batch may reach into the next epoch, so that every iteration has as many records.

    Args:
        records: How many there are.
        batch_size: How many an iteration takes.
        seed: Of the orders.
    """

    def __init__(self, records: int, batch_size: int, seed: int) -> None:
        self._records, self._size, self._seed = records, batch_size, seed
        self._orders: dict[int, np.ndarray] = {}

    def batch(self, iteration: int) -> np.ndarray:
        """Records (batch_size,) of an iteration (from 0)."""
        places = np.arange(iteration * self._size, (iteration + 1) * self._size)
        epochs = places // self._records
        self._orders = {int(e): self._order(int(e)) for e in np.unique(epochs)}
        rows = [
            self._orders[int(e)][p] for e, p in zip(epochs, places % self._records, strict=True)
        ]
        return np.array(rows)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch in self._orders:
            return self._orders[epoch]
        rng = np.random.default_rng([self._seed, _ORDER, epoch])
        return rng.permutation(self._records)


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
        self._order = BatchOrder(task.records, config.batch_size, config.seed)

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


def make_trainer(config: RunConfig, task: Task) -> Trainer:
    """A run of a task, fresh or taken up again."""

    def noise(iteration: int) -> int:
        return int(np.random.default_rng([config.seed, _NOISE, iteration]).integers(2**63))

    return Trainer(config, TaskLearner(config, task), noise)


def prepare(config: RunConfig) -> None:
    """Set up torch as a run wants it; before anything is built.

    Raises:
        ValueError: There is no such device.
    """
    check_device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    # On processors without TF32 "medium" is as exact and, through oneDNN, up to twice as fast.
    torch.set_float32_matmul_precision("medium" if config.device == "cpu" else "high")
    torch.manual_seed(config.seed)


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
