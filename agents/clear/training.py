"""Training of either representation, and its retrieval figures.

Letters in shapes: B pairs, T steps, N = 36 views, D width of the features, C object classes.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.clear.language_data import PairBatches, PathInstructions, split_episodes
from clipnav.agents.clear.language_network import (
    LanguageRepresentation,
    embed,
    make_language_network,
)
from clipnav.agents.clear.losses import nt_xent, paired_cross_entropy
from clipnav.agents.clear.objects import (
    OBJECTS_FILE,
    ObjectClasses,
    objects_of_viewpoint,
    read_objects,
)
from clipnav.agents.clear.pair_files import PathPair, multi_path, normalised, read_pairs
from clipnav.agents.clear.settings import LanguageConfig, VisualConfig
from clipnav.agents.clear.visual_network import (
    VisualRepresentation,
    make_visual_network,
    shared_objects,
)
from clipnav.envs.metrics import aligned
from clipnav.envs.tokenizers import (
    PretrainedTokenizer,
    SubwordTokenizer,
    Tokenizer,
    load_run_tokenizer,
)
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.checkpoints import VOCABULARY
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import decay_groups, make_group_optimiser, make_optimiser
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.training.trainer import Trainer

_ROWS_AT_ONCE = 1_024
_BUCKET = 16  # batches among which pairs are sorted by length


def ranks(queries: np.ndarray, candidates: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the rank (Q,) of the target of each query by cosine similarity, from 1.

    A candidate that is exactly as similar as the target counts half, so that constant embeddings
    have the rank of chance.

    Args:
        queries: (Q, W) embeddings.
        candidates: (N, W) embeddings.
        targets: (Q,) index of the candidate that belongs to each query.
    """
    queries, candidates = normalised(queries), normalised(candidates)
    positions = np.empty(len(queries))
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        scores = queries[rows] @ candidates.T  # (R, N)
        own = np.take_along_axis(scores, targets[rows, None], 1)
        ties = (scores == own).sum(1) - 1
        positions[rows] = 1 + (scores > own).sum(1) + ties / 2
    return positions


def summary(positions: np.ndarray, candidates: int) -> Summary:
    """Return the figures of some queries.

    Args:
        positions: (Q,) ranks from 1.
    """
    return {
        "MRR": float(np.mean(1 / positions)),
        "R@1": float(np.mean(positions <= 1)),
        "R@5": float(np.mean(positions <= 5)),
        "chance": 1 / candidates,
        "candidates": float(candidates),
        "queries": float(len(positions)),
    }


def mean_summary(parts: list[Summary]) -> Summary:
    """Return the mean of summaries, weighted by their queries; counts are means as well."""
    weights = [part["queries"] for part in parts]
    return {name: float(np.average([p[name] for p in parts], weights=weights)) for name in parts[0]}


def results_table(results: Mapping[str, Mapping[str, Summary]]) -> str:
    """Return an aligned table of figures by split and weights; MRR and recall are in per cent."""
    rows = [["split", "weights", "MRR", "R@1", "R@5", "chance", "N"]]
    for split, parts in results.items():
        for weights, figures in parts.items():
            shown = [f"{100 * figures[name]:.1f}" for name in ("MRR", "R@1", "R@5", "chance")]
            rows.append([split, weights, *shown, f"{figures['candidates']:.0f}"])
    return aligned(rows)


class LanguageLearner(SavedNetwork):
    """Contrastive learning over the instructions of one path."""

    noise = Stream.LANGUAGE_NOISE
    untrained = "initial"  # what `evaluate_untrained` evaluates
    network: LanguageRepresentation

    def __init__(self, config: LanguageConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.metadata = {}
        files = world_files(config.world, config.data_dir)
        episodes = split_episodes(config, files, "train")
        self.tokenizer = _tokenizer(config, [episode.instruction for episode in episodes])
        length = config.max_instruction_length
        train = PathInstructions(episodes, self.tokenizer, length)
        world_size = distributed.world_size()
        size, seed = config.batch_size, config.seed
        self._batches = PairBatches(train, config.partner, size, seed, world_size)
        self.evaluation = {
            split: PathInstructions(split_episodes(config, files, split), self.tokenizer, length)
            for split in config.evaluation_splits
        }
        self.network = make_language_network(config, self.tokenizer).to(config.device)
        self.clipped: list[nn.Module] = [self.network]
        self.optimiser = make_group_optimiser(decay_groups(self.network), config.optimiser)
        self._parallel = distributed.wrap_ddp(self.network)

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch of pairs and return the figures to log."""
        world_size = distributed.world_size()
        first, second = self._batches.batch(iteration, distributed.rank(), world_size)
        tokens = torch.cat([first, second]).to(self.config.device)
        # One call for both, because DistributedDataParallel expects one per update.
        anchors, partners = self._parallel(tokens).chunk(2)
        anchors, partners = distributed.gather_rows(anchors), distributed.gather_rows(partners)
        if self.config.centre:
            mean = torch.cat([anchors, partners]).mean(0)
            anchors, partners = anchors - mean, partners - mean
        loss = nt_xent(anchors, partners, self.config.temperature, self.config.symmetric)
        weight = self.config.contrastive_weight
        (weight * world_size * loss).backward()
        return {"loss": weight * loss.item(), "contrastive": loss.item()}

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the retrieval figures of every split and of its pairs of languages."""
        summaries: dict[str, Summary] = {}
        for split, data in self.evaluation.items():
            summaries |= retrieval(self.network, data, split, self.config)
        return summaries

    def evaluate_untrained(self) -> Mapping[str, Summary]:
        """Return the retrieval figures of the initial weights, which replace the trained ones."""
        torch.manual_seed(self.config.seed)
        initial = make_language_network(self.config, self.tokenizer)
        self.network.load_state_dict(initial.state_dict())
        return self.evaluate()

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.tokenizer.save(run / VOCABULARY)


def retrieval(
    network: LanguageRepresentation, data: PathInstructions, split: str, config: LanguageConfig
) -> dict[str, Summary]:
    """Return the retrieval figures of a split, and of its pairs of languages.

    An instruction searches for that of its path among those of all paths of the split. `log_prob`
    is the negative contrastive loss in batches of the size of the training.
    """
    embeddings = embed(network, data.tokens, config.centre)
    figures: dict[str, Summary] = {}
    for task in data.tasks():
        queries, candidates = embeddings[task.queries], embeddings[task.candidates]
        own = np.arange(len(queries))
        figures_of_task = summary(ranks(queries.numpy(), candidates.numpy(), own), len(candidates))
        losses = [
            nt_xent(one, other, config.temperature, config.symmetric).item() * len(one)
            for one, other in zip(
                queries.split(config.batch_size), candidates.split(config.batch_size), strict=True
            )
        ]
        figures[f"{split}/{task.name}"] = {
            **figures_of_task,
            "log_prob": -sum(losses) / len(queries),
        }
    if not figures:
        raise UserError(
            f"split {split} has no two paths with two instructions each; choose other "
            "--evaluation-splits, or more --languages"
        )
    return {split: mean_summary(list(figures.values())), **(figures if len(figures) > 1 else {})}


def _tokenizer(config: LanguageConfig, sentences: list[str]) -> Tokenizer:
    """Return the saved tokenizer of a run that is resumed, or build that of a new run."""
    if config.resume is not None:
        return load_run_tokenizer(config.resume / VOCABULARY)
    if config.encoder.model is not None:
        return PretrainedTokenizer(config.encoder.model)
    return SubwordTokenizer.build(sentences, config.encoder.vocabulary_size)


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


def make_trainer(
    config: LanguageConfig | VisualConfig,
) -> tuple[Trainer, LanguageLearner | VisualLearner]:
    """Build the trainer of a representation and its learner."""
    distributed.set_up_torch(config.device, config.threads, "highest", config.seed)
    distributed.join(config.device)
    is_visual = isinstance(config, VisualConfig)
    learner = VisualLearner(config) if is_visual else LanguageLearner(config)
    noise = partial(rank_iteration_seed, config.seed, learner.noise, rank=distributed.rank())
    return Trainer(config, learner, noise), learner


@distributed.destroys_process_group
def train(config: LanguageConfig | VisualConfig) -> dict[str, dict[str, Summary]]:
    """Train a representation, print its retrieval figures and write RUN/results.json.

    Returns:
        Figures by split and weights: "trained", and "initial" weights for comparison, or the
        "features" that a visual representation encodes.
    """
    trainer, learner = make_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    trained, compared = learner.evaluate(), learner.evaluate_untrained()
    results = {
        split: {"trained": figures, learner.untrained: compared[split]}
        for split, figures in trained.items()
    }
    trainer.report(results)
    if distributed.rank() == 0:
        print(results_table(results))
        print(f"Run: {trainer.run}")
    return results
