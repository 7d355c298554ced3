"""Paired paths as features and objects, for contrastive learning and for retrieval.

Letters in shapes: B pairs, T steps, N = 36 views, D width of the features, C object classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.clear.objects import ObjectClasses, objects_of_viewpoint
from clipnav.agents.clear.pair_files import PathPair
from clipnav.agents.clear.visual_network import shared_objects
from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.training.batches import BucketedBatchOrder

_BUCKET = 16  # batches among which pairs are sorted by length


class PairedSteps(NamedTuple):
    """All steps of a batch of paired paths.

    Attributes:
        views: (2, T, B, N, D) features of the paths and of their counterparts; zeros after the end.
        shared: (T, B, N) bool, whether a view and its counterpart show a common object class; None
            without object constraint.
        live: (T, B) bool, false after the end of a path.
    """

    views: Tensor
    shared: Tensor | None
    live: Tensor

    def to(self, device: str) -> "PairedSteps":
        """Return the steps on a device."""
        shared = None if self.shared is None else self.shared.to(device)
        return PairedSteps(self.views.to(device), shared, self.live.to(device))


class PairedPaths:
    """Pairs of paths of a split, with the features and objects of their viewpoints."""

    def __init__(
        self,
        pairs: Sequence[PathPair],
        store: FeatureStore,
        classes: ObjectClasses | None,
        objects_file: Path,
    ) -> None:
        self.pairs = list(pairs)
        self._store = store
        places = {
            (scan, viewpoint): store.row(scan, viewpoint)
            for pair in pairs
            for scan, path in ((pair.scan, pair.path), (pair.pair_scan, pair.pair_path))
            for viewpoint in path
        }
        self._numbers = {place: number for number, place in enumerate(places)}
        self._rows = np.array(list(places.values()))
        store.check_finite(self._rows)
        self._classes: np.ndarray | None = None
        if classes is not None:
            parts = [objects_of_viewpoint(classes, *place, objects_file) for place in places]
            self._classes = np.stack(parts)

    def lengths(self) -> list[int]:
        """Return the number of steps of each pair."""
        return [len(pair.path) for pair in self.pairs]

    def steps(self, numbers: Sequence[int], longest: int | None = None) -> PairedSteps:
        """Return the steps of some pairs.

        Args:
            numbers: (B,) indices of the pairs.
        """
        chosen = [self.pairs[number] for number in numbers]
        sizes = np.array([len(pair.path) for pair in chosen])
        time = np.arange(longest or sizes.max())[:, None]
        # The last panorama of a path remains a negative of the others (CLEAR `visual.py`).
        steps = np.minimum(time, sizes - 1)  # (T, B)
        places = np.zeros((2, *steps.shape), int)
        for column, pair in enumerate(chosen):
            paths = (pair.scan, pair.path), (pair.pair_scan, pair.pair_path)
            for side, (scan, path) in enumerate(paths):
                numbered = np.array([self._numbers[scan, viewpoint] for viewpoint in path])
                places[side, :, column] = numbered[steps[:, column]]
        views = torch.from_numpy(self._store.take(self._rows[places].ravel()))
        views = views.view(*places.shape, *views.shape[1:])
        shared = None
        if self._classes is not None:
            first, second = (torch.from_numpy(self._classes[part].astype(int)) for part in places)
            shared = shared_objects(first, second)
        return PairedSteps(views, shared, torch.from_numpy(time < sizes))

    def twins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the panoramas that search for their counterparts.

        Returns:
            (Q,) rows of the store of the queries, each viewpoint once; (N,) rows of the distinct
            counterparts; and (Q,) the index of the counterpart of each query.
        """
        partners: dict[int, int] = {}
        for pair in self.pairs:
            for viewpoint, partner in zip(pair.path, pair.pair_path, strict=True):
                row = self._store.row(pair.scan, viewpoint)
                partners.setdefault(row, self._store.row(pair.pair_scan, partner))
        candidates, targets = np.unique(list(partners.values()), return_inverse=True)
        return np.array(list(partners)), candidates, targets

    def mean_and_spread(self) -> tuple[Tensor, Tensor]:
        """Return mean (D,) and standard deviation (D,) of the features of all viewpoints."""
        views = torch.from_numpy(self._store.take(np.unique(self._rows))).flatten(0, 1)
        return views.mean(0), views.std(0)


class PairedPathBatches:
    """Batches of paired paths, reproducible from seed and iteration."""

    def __init__(self, data: PairedPaths, batch_size: int, seed: int, world_size: int = 1) -> None:
        if len(data.pairs) < 2:
            raise UserError("a contrastive loss requires at least two pairs of paths")
        names = [str(number) for number in range(len(data.pairs))]
        lengths = data.lengths()
        self._data = data
        self._order = BucketedBatchOrder(names, lengths, batch_size, _BUCKET, seed, world_size)

    def batch(self, iteration: int, rank: int = 0, world_size: int = 1) -> PairedSteps:
        """Return the steps of one rank; all ranks have the same number of steps T."""
        numbers = [int(name) for name in self._order.batch(iteration)]
        longest = max(len(self._data.pairs[number].path) for number in numbers)
        return self._data.steps(numbers[rank::world_size], longest)
