"""Order of records in batches whose images have one orientation."""

import logging
from collections.abc import Iterator

import numpy as np

from storage.errors import UserError

_LOG = logging.getLogger(__name__)

_GROUPED = 37  # stream of random numbers, separate from all others of a run


class GroupedOrder:
    """Batches of records whose images are all landscape or all portrait.

    Each epoch has a fresh permutation. Records that do not fill a batch of their orientation are
    skipped in that epoch. If an orientation has fewer records than a batch, all of them are skipped
    in every epoch, and a warning is logged.

    Args:
        portrait: Orientation of each record's image: (records,) bool.
        batch_size: Records in a batch; fewer if neither orientation has as many.
        seed: Random seed for the permutations.
        multiple: The batch size is rounded down to a multiple of this.
        images: Number of each record's image: (records,).
        per_image: Number of records of one image that follow each other, so that they can share
            its features; requires `images` if above 1.

    Attributes:
        batch_size: Records in a batch.
        batches_per_epoch: Batches in one pass over the records.

    Raises:
        UserError: There are too few records for a batch.
    """

    def __init__(
        self,
        portrait: np.ndarray,
        batch_size: int,
        seed: int,
        multiple: int = 1,
        images: np.ndarray | None = None,
        per_image: int = 1,
    ) -> None:
        self._portrait, self._seed = portrait, seed
        self._images, self._per_image = images, per_image
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
        rng = np.random.default_rng([self._seed, _GROUPED, epoch])
        order = np.arange(len(self._portrait), dtype=np.uint32)
        rng.shuffle(order)
        if self._images is not None and self._per_image > 1:
            order = order[_grouped(self._images[order], self._per_image, rng)]
        is_portrait = self._portrait[order]
        groups = [order[is_portrait], order[~is_portrait]]
        whole = [group[: len(group) // self.batch_size * self.batch_size] for group in groups]
        return rng.permutation(np.concatenate(whole).reshape(-1, self.batch_size))


def _grouped(images: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random order of records in groups of `size` records of one image.

    The records of an image that are left form a smaller group.

    Args:
        images: Number of each record's image: (records,).
        size: Records in a group.
        rng: Random generator of the order of the groups.
    """
    by_image = np.argsort(images, kind="stable")
    ordered = images[by_image]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    starts = np.flatnonzero(is_first)
    within = np.arange(len(ordered)) - starts[np.cumsum(is_first) - 1]
    group = np.cumsum(within % size == 0) - 1
    return by_image[np.argsort(rng.permutation(group[-1] + 1)[group], kind="stable")]


def exact_batches(portrait: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield each record exactly once, in batches of one orientation; the last ones are smaller.

    Args:
        portrait: Orientation of each record's image: (records,) bool.
        batch_size: Largest number of records in a batch.
    """
    for group in (np.flatnonzero(~portrait), np.flatnonzero(portrait)):
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]
