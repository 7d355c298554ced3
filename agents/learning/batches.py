"""The order in which training sees its episodes."""

from collections.abc import Sequence

import numpy as np

_ORDER = 21


class BatchOrder:
    """Batches of episodes, a function of seed and iteration alone: a run can go on anywhere.

    Each epoch is a fresh permutation. Within pools of `bucket` batches episodes are sorted by
    length before they are cut into batches, which saves the padding of instructions; then the
    batches are shuffled. What does not fill a batch waits for another epoch.

    Args:
        instr_ids: Episodes.
        lengths: Length of each one's instruction.
        batch_size: Episodes of a batch; all of them if there are fewer.
        bucket: Batches per pool.
        seed: Of the permutations.
        multiple: A batch has a multiple of this many episodes.

    Raises:
        ValueError: There are fewer episodes than `multiple`.
    """

    def __init__(
        self,
        instr_ids: Sequence[str],
        lengths: Sequence[int],
        batch_size: int,
        bucket: int,
        seed: int,
        multiple: int = 1,
    ) -> None:
        if len(instr_ids) < multiple:
            raise ValueError(f"{len(instr_ids)} episodes, but a batch has at least {multiple}")
        self._instr_ids = list(instr_ids)
        self._lengths = np.asarray(lengths)
        self._batch_size = min(batch_size, len(self._instr_ids)) // multiple * multiple
        self._pool = bucket * self._batch_size
        self._seed = seed
        self._epoch = -1
        self._batches: np.ndarray = np.empty((0, 0), int)

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one pass over the episodes."""
        return len(self._instr_ids) // self._batch_size

    def batch(self, iteration: int) -> list[str]:
        """Episodes of an iteration (from 0)."""
        epoch, position = divmod(iteration, self.batches_per_epoch)
        if epoch != self._epoch:
            self._batches, self._epoch = self._shuffle(epoch), epoch
        return [self._instr_ids[index] for index in self._batches[position]]

    def _shuffle(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self._seed, _ORDER, epoch])
        order = rng.permutation(len(self._instr_ids))
        order = order[: self.batches_per_epoch * self._batch_size]
        pools = [order[start : start + self._pool] for start in range(0, len(order), self._pool)]
        order = np.concatenate(
            [pool[np.argsort(self._lengths[pool], kind="stable")] for pool in pools]
        )
        return rng.permutation(order.reshape(-1, self._batch_size))
