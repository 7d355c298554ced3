"""Training of a visual representation, and its retrieval figures."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from clipnav.agents.clear.losses import paired_cross_entropy
from clipnav.agents.clear.objects import OBJECTS_FILE, read_objects
from clipnav.agents.clear.pair_files import multi_path, read_pairs
from clipnav.agents.clear.retrieval import ranks, summary
from clipnav.agents.clear.settings import VisualConfig
from clipnav.agents.clear.visual_data import PairedPathBatches, PairedPaths
from clipnav.agents.clear.visual_network import VisualRepresentation, make_visual_network
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.training import distributed
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream

_ROWS_AT_ONCE = 256


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
        for chosen in rows.split(_ROWS_AT_ONCE):
            views = torch.from_numpy(store.take(chosen.numpy()))
            if network is not None:
                device = network.encoder.norm.weight.device
                parts.append(network.panorama(views.to(device)).cpu())
            else:
                parts.append(views.mean(1))
        return torch.cat(parts)

    one, other = embeddings(torch.from_numpy(queries)), embeddings(torch.from_numpy(candidates))
    return summary(ranks(one.numpy(), other.numpy(), targets), len(candidates))
