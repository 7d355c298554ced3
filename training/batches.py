"""Orders of training records in batches; each depends on seed and iteration only."""

from collections.abc import Sequence

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream


class BucketedBatchOrder:
    """Batches of records of similar length, reproducible from seed and iteration.

    Each epoch is a fresh permutation. Within pools of `bucket` batches, records are sorted by
    length before they are cut into batches, which saves padding; then the batches are shuffled.
    Records that do not fill a batch are skipped in that epoch.
    """

    def __init__(
        self,
        names: Sequence[str],
        lengths: Sequence[int],
        batch_size: int,
        bucket: int,
        seed: int,
        multiple: int = 1,
    ) -> None:
        if len(names) < multiple:
            raise UserError(f"{len(names)} episodes, but a batch needs at least {multiple}")
        if batch_size < multiple:
            raise UserError(
                f"--batch-size {batch_size}: {multiple} processes share a batch; give at least "
                "this number, or start fewer processes"
            )
        self._names = list(names)
        self._lengths = np.asarray(lengths)
        self._batch_size = min(batch_size, len(self._names)) // multiple * multiple
        self._pool = bucket * self._batch_size
        self._seed = seed
        self._epoch = -1
        self._batches: np.ndarray = np.empty((0, 0), int)

    @property
    def batches_per_epoch(self) -> int:
        """Number of batches in one pass over the records."""
        return len(self._names) // self._batch_size

    def batch(self, iteration: int) -> list[str]:
        """Return the names of the records of an iteration (from 0)."""
        epoch, position = divmod(iteration, self.batches_per_epoch)
        if epoch != self._epoch:
            rng = Stream.BUCKETED_ORDER.rng(self._seed, epoch)
            order = rng.permutation(len(self._names))
            order = order[: self.batches_per_epoch * self._batch_size]
            pools = [
                order[start : start + self._pool] for start in range(0, len(order), self._pool)
            ]
            order = np.concatenate(
                [pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools]
            )
            self._batches, self._epoch = rng.permutation(order.reshape(-1, self._batch_size)), epoch
        return [self._names[index] for index in self._batches[position]]


class ShuffledBatchOrder:
    """Batches of equal size over shuffled records; each epoch has a fresh permutation.

    A batch may continue into the next epoch, so that every batch has the same size.
    """

    def __init__(self, records: int, batch_size: int, seed: int) -> None:
        self._records, self._size, self._seed = records, batch_size, seed
        self._orders: dict[int, np.ndarray] = {}

    def batch(self, iteration: int) -> np.ndarray:
        """Return the record indices (batch_size,) of an iteration (from 0)."""
        positions = np.arange(iteration * self._size, (iteration + 1) * self._size)
        epochs = positions // self._records
        self._orders = {
            epoch: self._orders[epoch]
            if epoch in self._orders
            else Stream.SHUFFLED_ORDER.rng(self._seed, epoch).permutation(self._records)
            for epoch in np.unique(epochs).tolist()
        }
        rows = [
            self._orders[int(epoch)][position]
            for epoch, position in zip(epochs, positions % self._records, strict=True)
        ]
        return np.array(rows)
