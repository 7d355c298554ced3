"""Training of CLEAR's visual representation on paired paths.

Letters in shapes: B pairs, T steps, N = 36 views, D width of the features, C object classes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.clear.losses import paired_cross_entropy
from clipnav.agents.clear.objects import (
    OBJECTS_FILE,
    ObjectClasses,
    objects_of_viewpoint,
    read_objects,
)
from clipnav.agents.clear.pair_files import PathPair, multi_path, read_pairs
from clipnav.agents.clear.retrieval import ranks, summary
from clipnav.agents.clear.settings import VisualConfig
from clipnav.agents.clear.visual_network import (
    VisualRepresentation,
    make_visual_network,
    shared_objects,
)
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream

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


class VisualLearner(SavedNetwork):
    """Contrastive learning over the viewpoints of paired paths."""

    noise = Stream.VISUAL_NOISE
    untrained = "features"  # what `evaluate_untrained` evaluates
    network: VisualRepresentation

    def __init__(self, config: VisualConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        files = world_files(config.world, config.data_dir)
        store = files.open_features(config.features)
        if store is None or config.pairs is None:
            raise UserError("a visual representation requires --features and --pairs")
        self._store = store
        self.metadata = {"encoder": store.encoder}
        objects = config.pairs / OBJECTS_FILE
        classes = read_objects(objects) if config.object_constraint else None
        pairs = {
            split: read_pairs(multi_path(config.pairs, split), files)
            for split in ("train", *config.evaluation_splits)
        }
        train = PairedPaths(pairs["train"], store, classes, objects)
        self.evaluation = {
            split: PairedPaths(pairs[split], store, None, objects)
            for split in config.evaluation_splits
        }
        world_size = distributed.world_size()
        self._batches = PairedPathBatches(train, config.batch_size, config.seed, world_size)
        self.network = make_visual_network(config, store.width)
        if self.network.scale is not None and config.resume is None:  # otherwise it is restored
            self.network.scale.fit(*train.mean_and_spread())
        self.network.to(config.device)
        self.clipped: list[nn.Module] = [self.network]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self._parallel = distributed.wrap_ddp(self.network)

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch of pairs and return the figures to log."""
        config, world_size = self.config, distributed.world_size()
        steps = self._batches.batch(iteration, distributed.rank(), world_size).to(config.device)
        encoded = self._parallel(steps.views)  # (2, T, B, N, D)
        if steps.shared is not None:
            encoded = encoded * steps.shared[..., None]
        first, second = encoded.mean(3)  # (T, B, D) each
        total = torch.zeros((), device=encoded.device)
        count = 0.0
        for one, other, live in zip(first, second, steps.live, strict=True):
            everyone = distributed.gather_rows(live.float()).bool()
            one, other = distributed.gather_rows(one), distributed.gather_rows(other)
            total = total + paired_cross_entropy(one, other, everyone, config.temperature)
            count += everyone.sum().item()
        loss = total / count
        (config.contrastive_weight * world_size * loss).backward()
        return {"loss": config.contrastive_weight * loss.item(), "contrastive": loss.item()}

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the retrieval figures of every split."""
        return self._retrieval(self.network)

    def evaluate_untrained(self) -> Mapping[str, Summary]:
        """Return the retrieval figures of the features themselves."""
        return self._retrieval(None)

    def _retrieval(self, network: VisualRepresentation | None) -> dict[str, Summary]:
        return {
            split: view_retrieval(network, data, self._store)
            for split, data in self.evaluation.items()
        }

    def start(self, run: Path) -> None:
        """Write nothing besides settings and weights."""


@torch.no_grad()
def view_retrieval(
    network: VisualRepresentation | None, data: PairedPaths, store: FeatureStore
) -> Summary:
    """Return how often a panorama finds its counterpart among those of all pairs of a split.

    The embedding of a panorama is the mean of its encoded views, without object constraint, which
    would reveal the counterpart.
    """
    queries, candidates, targets = data.twins()

    def embeddings(rows: torch.Tensor) -> Tensor:
        parts = []
        for chosen in rows.split(256):
            views = torch.from_numpy(store.take(chosen.numpy()))
            if network is not None:
                device = network.encoder.norm.weight.device
                parts.append(network.panorama(views.to(device)).cpu())
            else:
                parts.append(views.mean(1))
        return torch.cat(parts)

    one, other = embeddings(torch.from_numpy(queries)), embeddings(torch.from_numpy(candidates))
    return summary(ranks(one.numpy(), other.numpy(), targets), len(candidates))
