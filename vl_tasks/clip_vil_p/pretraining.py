"""Pre-training of CLIP-ViL_p: masked words, matching and question answering."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.training import distributed
from clipnav.training.learners import Summary
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.vl_tasks.clip_vil_p.building import (
    TRUNK,
    build_network,
    load_run,
    make_network,
    new_word_pieces,
    save_description,
    standardise,
    start_from,
)
from clipnav.vl_tasks.clip_vil_p.data.answers import AnswerClasses, convert_answer
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import GroupedOrder, exact_batches
from clipnav.vl_tasks.clip_vil_p.data.loading import load_batches
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import OBJECTIVES, Batch, BatchKey, PairBatches
from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
from clipnav.vl_tasks.clip_vil_p.data.pair_index import PairIndex
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork, total_loss
from clipnav.vl_tasks.clip_vil_p.optimisers import JointOptimiser, autocast, set_matmul_precision
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.data_folders import data_folder, image_folder
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.subsets import evenly_spaced, held_out_names, is_held_out
from clipnav.vl_tasks.training import FinalScores, Task

_STANDARDISED = 500  # pairs to whose images the projection of grid features is fitted
_LEARNT_FROM = 500_000  # sentences that word pieces are learnt from, evenly spread
# Streams of random numbers of batches: evaluation, and training with the number of the batch.
_EVALUATED, _TRAINED = 0, 1


@dataclass(frozen=True)
class PairSplit:
    """Some pairs of an index.

    Attributes:
        index: Index of pairs.
        framing: Sizes of the images.
        chosen: Numbers of the pairs; None for all.
    """

    index: PairIndex
    framing: Framing
    chosen: np.ndarray | None = None

    @cached_property
    def portrait(self) -> np.ndarray:
        """Whether the frame of each pair's image is higher than wide: (pairs,) bool."""
        return self.index.portrait(self.framing)[self.images]

    @property
    def images(self) -> np.ndarray:
        """Number of the image of each pair."""
        return self.index.images if self.chosen is None else self.index.images[self.chosen]

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """Return the numbers in the index of the pairs at these places of the split."""
        return places if self.chosen is None else self.chosen[places]


class Splits:
    """Pairs of the training and of the evaluation.

    Attributes:
        training: Pairs to train on.
        evaluated: Pairs of the split `select_by` and of each of `evaluation_splits`, at most
            `evaluation_pairs` of each.
    """

    def __init__(self, config: PretrainVlConfig) -> None:
        folder = data_folder(config)
        images, framing = image_folder(config, folder), config.framing

        def opened(splits: Sequence[str]) -> PairSplit:
            return PairSplit(open_pairs(folder, splits, images, config.languages), framing)

        self.training = opened(config.train_splits)
        names = dict.fromkeys((config.select_by, *config.evaluation_splits))
        evaluated = {split: opened([split]) for split in names if split != HELD_OUT}
        if config.select_by == HELD_OUT:
            self.training, held_out = _parted(self.training, folder)
            evaluated = {HELD_OUT: held_out, **evaluated}
        most = config.evaluation_pairs
        for split, part in evaluated.items():
            count = len(part.images)
            if most is not None and count > most:
                chosen = part.numbers(evenly_spaced(count, most))
                evaluated[split] = replace(part, chosen=chosen)
        self.evaluated = evaluated


def _parted(split: PairSplit, folder: Path) -> tuple[PairSplit, PairSplit]:
    """Reserve the pairs of one image in twenty."""
    pairs = split.index
    names = held_out_names([pairs.image_name(image) for image in range(pairs.image_count)])
    held = np.fromiter(map(is_held_out, names), bool)
    is_held = held[pairs.images]
    if is_held.all() or not is_held.any():
        raise UserError(
            f"{folder}: {pairs.image_count} images are too few for --select-by held-out; add "
            "images, or name a validation split"
        )
    kept, reserved = np.flatnonzero(~is_held), np.flatnonzero(is_held)
    chosen = kept.astype(np.uint32), reserved.astype(np.uint32)
    return replace(split, chosen=chosen[0]), replace(split, chosen=chosen[1])


class PretrainingTask(Task):
    """Network, pairs and optimisers of a pre-training.

    Under torchrun, each process computes the gradients of its part of a batch, and all of them
    together those of one process with a batch of all parts: the losses are means over the targets
    of all processes and of all accumulated batches.
    """

    network: PretrainingNetwork

    def __init__(self, config: PretrainVlConfig) -> None:
        set_matmul_precision(config.precision)
        self.config = config
        self.splits = Splits(config)
        self.pieces, self.answers, self.network, self._tower = self._parts()
        self.network.to(memory_format=self.network.trunk.tower.layout)  # pyright: ignore
        self.network.to(config.device)
        self.metadata = {"word pieces": self.pieces.digest}
        self._optimiser = JointOptimiser(
            self.network,
            self.network.trunk,
            config.optimiser,
            config.trunk_optimiser,
            config.precision,
        )
        ranks = distributed.world_size()
        training = self.splits.training
        self.order = GroupedOrder(
            training.portrait,
            config.batch_size * ranks,
            config.seed,
            multiple=ranks,
            groups=training.images if config.pairs_per_image > 1 else None,
            group_size=config.pairs_per_image,
        )
        if config.trunk.standardise and config.resume is None and config.start_from is None:
            places = evenly_spaced(len(training.images), _STANDARDISED)
            images = np.unique(training.index.images[training.numbers(places)])
            paths = [training.index.image_path(int(image)) for image in images]
            standardise(self.network.trunk, self.network.stream, paths, config, config.device)
        self._scored = distributed.wrap_ddp(self.network)  # copies the weights of rank 0
        self._batches: Iterator[Batch] = iter(())
        self._next = -1  # iteration whose batches come next

    def backward(self, iteration: int) -> Summary:
        """Compute the gradient of an iteration (from 0)."""
        self.optimiser.set_trunk_rate(iteration)
        batches = distributed.on_all_ranks(
            lambda: [self._batch(iteration) for _ in range(self.config.accumulate)]
        )
        self._next = iteration + 1
        own, device = [batch.counts() for batch in batches], torch.device(self.config.device)
        counts = {
            name: distributed.total(sum(part[name] for part in own), device) for name in OBJECTIVES
        }
        sums = torch.zeros(2, len(OBJECTIVES), dtype=torch.float64)
        for batch in batches[:-1]:
            with distributed.unsynchronised(self._scored):
                sums += self._add_gradient(batch, counts)
        sums += self._add_gradient(batches[-1], counts)
        sums = torch.stack(distributed.all_gather(sums)).sum(0)  # as the counts are
        rate = {"trunk_learning_rate": self.optimiser.trunk_rate}
        return self._figures(sums, counts) | rate | self.optimiser.unscale()

    @property
    def optimiser(self) -> JointOptimiser:
        """Optimisers of transformer and trunk."""
        return self._optimiser

    def noise(self, iteration: int) -> int:
        """Return the seed of torch's random numbers in an iteration."""
        seed, rank = self.config.seed, distributed.rank()
        return rank_iteration_seed(seed, Stream.PAIR_NOISE, iteration, rank)

    def score(self, split: str) -> Summary:
        """Return the losses and accuracies on an evaluated split, over each of its pairs once."""
        evaluated = self.splits.evaluated[split]
        gathered = distributed.all_gather(
            distributed.on_all_ranks(lambda: self._own_sums(evaluated))
        )
        total = torch.stack([part[0] for part in gathered]).sum(0)
        numbers = np.stack([part[1] for part in gathered]).sum(0).tolist()
        if not any(numbers):
            raise UserError(
                f"{split}: none of its {len(evaluated.images)} pairs has a masked word, an "
                "exchanged sentence or a known answer to predict; name a larger split"
            )
        counted = dict(zip(OBJECTIVES, numbers, strict=True))
        return self._figures(total, counted)

    def _own_sums(self, evaluated: PairSplit) -> tuple[Tensor, np.ndarray]:
        """Return the sums of losses and correct predictions, and the counts, of this process."""
        parts = list(exact_batches(evaluated.portrait, self.config.evaluation_batch_size))
        own = parts[distributed.rank() :: distributed.world_size()]
        keys = (BatchKey(evaluated.numbers(part), (_EVALUATED,), part) for part in own)
        sums = torch.zeros(2, len(OBJECTIVES), dtype=torch.float64)
        counts = np.zeros(len(OBJECTIVES))
        with torch.inference_mode():
            for batch in load_batches(self._maker(evaluated.index).make, keys, self.config.workers):
                with autocast(self.config.precision, self.config.device):
                    scores = self.network(batch.to(self.config.device))
                sums += torch.stack([scores.losses, scores.correct]).double().cpu()
                counts += list(batch.counts().values())
        return sums, counts

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the losses and accuracies of a split."""
        figures = self.score(split)

        def text(name: str, prefix: str) -> str:
            accuracy, loss = figures[f"{prefix}accuracy"], figures[f"{prefix}loss"]
            return f"{name} {100 * accuracy:.1f} (loss {loss:.3f})"

        each = (text(name, f"{name}_") for name in OBJECTIVES if f"{name}_loss" in figures)
        yield FinalScores(split, figures, f"{split}: {text('accuracy', '')}: {', '.join(each)}")

    def start(self, run: Path) -> None:
        """Write word pieces, answers and configurations of a new run."""
        self.pieces.save(run)
        self.answers.save(run)
        save_description(run, self.network.stream.bert, self._tower)

    def _add_gradient(self, batch: Batch, counts: dict[str, float]) -> Tensor:
        """Add the gradient of a batch; return its sums of losses and of correct predictions."""
        with autocast(self.config.precision, self.config.device):
            scores = self._scored(batch.to(self.config.device))
        # DistributedDataParallel averages over the processes; the sum is wanted.
        loss = total_loss(scores, counts) * distributed.world_size()
        (loss * self.optimiser.loss_scale).backward()
        return torch.stack([scores.losses.detach(), scores.correct]).double().cpu()

    def _figures(self, sums: Tensor, counts: dict[str, Any]) -> Summary:
        """Return the mean losses and accuracies of the objectives that have targets.

        A batch of few short sentences may have none.
        """
        figures: Summary = {}
        for name, loss, correct in zip(OBJECTIVES, *sums.tolist(), strict=True):
            if counts[name]:
                figures[f"{name}_loss"] = loss / counts[name]
                figures[f"{name}_accuracy"] = correct / counts[name]
        accuracies = [value for name, value in figures.items() if name.endswith("accuracy")]
        losses = [value for name, value in figures.items() if name.endswith("loss")]
        mean = {"accuracy": sum(accuracies) / len(accuracies)} if accuracies else {}
        return {"loss": sum(losses), **mean, **figures}

    def _batch(self, iteration: int) -> Batch:
        if iteration != self._next:
            training = self.splits.training
            # Otherwise held-out sentences would be learnt, and only as those of other images.
            maker = replace(self._maker(training.index), exchangeable=training.chosen)
            rank, ranks = distributed.rank(), distributed.world_size()
            # Neighbours, because pairs of one image follow each other.
            places = np.arange(self.order.batch_size).reshape(ranks, -1)[rank]
            keys = (
                BatchKey(
                    training.numbers(self.order.batch(number)[places]), (_TRAINED, number), places
                )
                for number in count(iteration * self.config.accumulate)
            )
            self._batches = load_batches(maker.make, keys, self.config.workers)
            self._next = iteration
        return next(self._batches)

    def _maker(self, index: PairIndex) -> PairBatches:
        config = self.config
        return PairBatches(
            index,
            self.pieces,
            self.answers.of_index(index) if len(self.answers) else None,
            config.framing,
            config.max_words,
            config.faithful,
            config.seed,
            config.exchanged if config.objective == "all" else 0.0,
            config.masked_questions or config.objective == "masked-words",
        )

    def _parts(self) -> tuple[WordPieces, AnswerClasses, PretrainingNetwork, Any]:
        """Build word pieces, answers, network and the description of its image tower."""
        config = self.config
        if config.resume is not None:
            pieces, answers = WordPieces.load(config.resume), AnswerClasses.of_run(config.resume)
            return pieces, answers, build_network(config, config.resume, len(answers)), None
        if not config.answers_questions:
            answers = AnswerClasses([])
        elif config.answers is not None:
            listed = AnswerClasses.load(config.answers).answers
            answers = AnswerClasses([convert_answer(answer) for answer in listed])
        else:
            answers = AnswerClasses.of_pairs(self.splits.training.index, config.min_count)
        if config.start_from is not None:
            _, started, pieces, known = load_run(config.start_from)
            network = build_network(config, config.start_from, len(answers))
            start_from(network, started, known, answers)
            tower = read_json_object(config.start_from / TRUNK, "train the run again")
            return pieces, answers, network, tower
        training = self.splits.training
        step = max(len(training.images) // _LEARNT_FROM, 1)
        numbers = training.numbers(np.arange(0, len(training.images), step))
        texts = (training.index[int(number)].text for number in numbers)
        pieces = new_word_pieces(config, texts)
        network, tower = make_network(config, pieces, len(answers))
        return pieces, answers, network, tower
