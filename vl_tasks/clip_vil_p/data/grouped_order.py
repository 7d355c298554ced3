"""Order of records in batches whose images have one orientation."""

import logging
from collections.abc import Iterator

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream

_LOG = logging.getLogger(__name__)


class GroupedOrder:
    """Batches of records whose images are all landscape or all portrait.

    Each epoch has a fresh permutation. Records that do not fill a batch of their orientation are
    skipped in that epoch. If an orientation has fewer records than a batch, all of them are skipped
    in every epoch, and a warning is logged.

    Args:
        portrait: Orientation of each record's image: (records,) bool.
        group_size: Number of records of one group that follow each other, such as those of one
            image, whose features they can share; requires `groups` if above 1.

    Attributes:
        batch_size: Records in a batch.
        batches_per_epoch: Batches in one pass over the records.
    """

    def __init__(
        self,
        portrait: np.ndarray,
        batch_size: int,
        seed: int,
        multiple: int = 1,
        groups: np.ndarray | None = None,
        group_size: int = 1,
    ) -> None:
        self._portrait, self._seed = portrait, seed
        self._groups, self._group_size = groups, group_size
        counts = (int(portrait.sum()), int((~portrait).sum()))
        self.batch_size = min(batch_size, max(counts)) // multiple * multiple
        if not self.batch_size:
            raise UserError(
                f"{max(counts)} training records with images of one orientation, but a batch needs "
                f"at least {multiple}; add data, or start fewer processes"
            )
        for name, count in zip(("portrait", "landscape"), counts, strict=True):
            if 0 < count < self.batch_size:
                _LOG.warning(
                    "no training on %d records with %s images, which do not fill a batch of %d; "
                    "set a smaller --batch-size to learn them",
                    *(count, name, self.batch_size),
                )
        self.batches_per_epoch = sum(count // self.batch_size for count in counts)
        self._epoch = -1
        self._batches: np.ndarray = np.empty((0, 0), np.uint32)

    def batch(self, number: int) -> np.ndarray:
        """Return the records (batch_size,) int64 of a batch (from 0)."""
        epoch, position = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            self._batches, self._epoch = self._shuffle(epoch), epoch
        return self._batches[position].astype(np.int64)

    def _shuffle(self, epoch: int) -> np.ndarray:
        rng = Stream.GROUPED_ORDER.rng(self._seed, epoch)
        order = np.arange(len(self._portrait), dtype=np.uint32)
        rng.shuffle(order)
        if self._groups is not None and self._group_size > 1:
            order = order[_grouped(self._groups[order], self._group_size, rng)]
        is_portrait = self._portrait[order]
        groups = [order[is_portrait], order[~is_portrait]]
        whole = [group[: len(group) // self.batch_size * self.batch_size] for group in groups]
        return rng.permutation(np.concatenate(whole).reshape(-1, self.batch_size))


def _grouped(groups: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random order of records in parts of `size` records of one group.

    The records of a group that are left form a smaller part.
    """
    by_group = np.argsort(groups, kind="stable")
    ordered = groups[by_group]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    starts = np.flatnonzero(is_first)
    within = np.arange(len(ordered)) - starts[np.cumsum(is_first) - 1]
    part = np.cumsum(within % size == 0) - 1
    return by_group[np.argsort(rng.permutation(part[-1] + 1)[part], kind="stable")]


def exact_batches(portrait: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield each record exactly once, in batches of one orientation; the last ones are smaller.

    Args:
        portrait: Orientation of each record's image: (records,) bool.
    """
    for group in (np.flatnonzero(~portrait), np.flatnonzero(portrait)):
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]
