"""Fine-tuning of a pre-trained CLIP-ViL_p on a task with classes: answers or labels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.encoders.explanations import Explanation
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.training import distributed
from clipnav.training.learners import Summary
from clipnav.training.settings import CONFIG, read_config, to_json
from clipnav.training.streams import Stream, rank_iteration_seed
from clipnav.vl_tasks.clip_vil_p.building import (
    TRUNK,
    build_network,
    load_run,
    make_network,
    new_word_pieces,
    save_description,
    standardise,
)
from clipnav.vl_tasks.clip_vil_p.data.answers import convert_answer
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import GroupedOrder, exact_batches
from clipnav.vl_tasks.clip_vil_p.data.loading import load_batches
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures, image_size, read_pictures
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from clipnav.vl_tasks.clip_vil_p.networks.network import (
    AnswerHead,
    PretrainingNetwork,
    describe_stream,
    initialise_from_answers,
)
from clipnav.vl_tasks.clip_vil_p.optimisers import JointOptimiser, autocast, set_matmul_precision
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.settings.runs import FineTunableConfig

_BASE = "clip_vil_p"  # folder within a run: settings and sizes of the pre-trained model


class FineTunedNetwork(nn.Module):
    """Trunk and transformer of a pre-trained network, with a new head.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(self, pretrained: PretrainingNetwork, classes: int) -> None:
        super().__init__()
        self.trunk, self.stream = pretrained.trunk, pretrained.stream
        self.head = pretrained.new_head(classes)
        self.architecture = {
            "model": self.stream.model,
            **describe_stream(self.trunk, self.stream),
            "answers": str(classes),
        }

    def forward(self, pictures: Pictures, pieces: Tensor) -> Tensor:
        """Compute the logits (B, classes) of sentences (B, T) about images."""
        grid, mask = self.trunk(pictures)
        return self.classify(grid, mask, pieces)

    def classify(self, grid: Tensor, mask: Tensor, pieces: Tensor) -> Tensor:
        """Compute the logits of sentences about grid features, see `SingleStream`."""
        return self.head(self.stream(pieces, grid, mask, None).pooled)


class ImageSentences(NamedTuple):
    """N sentences about images.

    Attributes:
        maker: Makes batches of them.
        portrait: Orientation of the image of each sentence: (N,) bool.
        groups: Number of the group of each sentence, such as its image: (N,) int64.
        group_size: Number of sentences of a group that follow each other in training.
    """

    maker: "SentenceBatches"
    portrait: np.ndarray
    groups: np.ndarray
    group_size: int


@dataclass(frozen=True)
class SentenceBatches:
    """Makes batches of images and sentences.

    Attributes:
        paths: Image of each sentence.
        pieces: (N, words) int32 ids of word pieces, padded with 0.
        framing: Sizes of the images.
    """

    paths: Sequence[Path]
    pieces: np.ndarray
    framing: Framing

    def make(self, key: np.ndarray) -> tuple[np.ndarray, Pictures, Tensor]:
        """Return numbers, images and word pieces of some sentences.

        Raises:
            FileNotFoundError: An image is missing.
            DamagedPictureError: An image cannot be read.
        """
        pictures = read_pictures([self.paths[row] for row in key], self.framing)
        pieces = self.pieces[key]
        longest = int((pieces != 0).sum(1).max())
        return key, pictures, torch.from_numpy(pieces[:, :longest].astype(np.int64))


def _check_model(config: FineTunableConfig, start: Path, base: PretrainVlConfig) -> None:
    """Check that a pre-trained network is that of --model."""
    if base.model != config.model:
        raise UserError(
            f"{start}: pre-trained with --model {base.model}, but --model {config.model} was "
            f"given; change it, or name another run as --start-from"
        )
    if config.model == "multilingual" and base.faithful != getattr(config, "faithful", False):
        raise UserError(
            f"{start}: pre-trained {'with' if base.faithful else 'without'} --faithful; "
            f"{'add' if base.faithful else 'omit'} this flag"
        )


class FineTuning:
    """Network of a task, built from the run `start_from` or the run to resume, and its inputs.

    Without a run to start from, the model multilingual gets a new network.

    Args:
        classes: Classes: answers or labels. Answers that the pre-training learnt keep their output
            weights.
    """

    def __init__(
        self,
        config: FineTunableConfig,
        classes: Sequence[str],
        images: Mapping[Any, Path],
        run: Path | None,
        texts: Sequence[str] = (),
    ) -> None:
        self.config: Any = config
        self._images = images
        set_matmul_precision(config.clip_vil_p.precision)
        known: dict[str, int] = {}  # classes of pre-trained answers
        self._tower: dict[str, Any] | None = None
        if run is not None:
            base = run / _BASE
            self._base = read_config(base, PretrainVlConfig)
            self.pieces = WordPieces.load(base)
            pretrained = build_network(self._base, base, 0)
        elif config.start_from is None:
            self._base = self.config.new_base()
            self.pieces = new_word_pieces(self._base, texts)
            pretrained, self._tower = make_network(self._base, self.pieces, 0)
        else:
            self._base, pretrained, self.pieces, answers = load_run(config.start_from)
            _check_model(config, config.start_from, self._base)
            self._tower = read_json_object(config.start_from / TRUNK, "train the run again")
            known = answers.classes if config.ANSWERS else {}
        self.network = FineTunedNetwork(pretrained, len(classes))
        head, learnt = self.network.head, pretrained.answers
        if known and learnt is not None and isinstance(head, AnswerHead):
            weights = learnt.state_dict()
            count = initialise_from_answers(head, classes, weights, known, convert_answer)
            if distributed.rank() == 0:
                print(f"{count} of {len(classes)} answers have pre-trained weights")
        self.network.trunk.frozen = config.clip_vil_p.frozen_trunk
        self.network.trunk.frozen_norms = config.clip_vil_p.frozen_norms
        if config.clip_vil_p.dropout is not None:
            for module in self.network.modules():
                if isinstance(module, nn.Dropout):
                    module.p = config.clip_vil_p.dropout
        self.network.to(memory_format=self.network.trunk.tower.layout)  # pyright: ignore
        self.network.to(config.device)
        self.metadata = {"word pieces": self.pieces.digest}

    def standardise(self, paths: Sequence[Path]) -> None:
        """Fit the projection of grid features of a new network to training images."""
        if self._base.trunk.standardise:
            standardise(
                self.network.trunk, self.network.stream, paths, self._base, self.config.device
            )

    def encode(self, records: Sequence[Any]) -> ImageSentences:
        """Prepare texts about images: records with `text` and `image_id`."""
        paths = [self._images[one.image_id] for one in records]
        numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
        framing = self._base.framing
        upright = {path: framing.is_portrait(*image_size(path)) for path in numbers}
        pieces = self.pieces.encode([one.text for one in records], self.config.clip_vil_p.max_words)
        maker = SentenceBatches(paths, pieces, framing)
        return ImageSentences(
            maker,
            np.array([upright[path] for path in paths], bool),
            np.array([numbers[path] for path in paths], np.int64),
            self.config.clip_vil_p.sentences_per_image,
        )

    def logits(
        self, records: Sequence[Any], encoded: ImageSentences | None = None
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, classes) of all records, each exactly once.

        Under torchrun the processes divide the batches, and each yields the logits of all.
        """
        sentences = self.encode(records) if encoded is None else encoded
        self.network.eval()
        keys = list(exact_batches(sentences.portrait, self.config.evaluation_batch_size))
        own = keys[distributed.rank() :: distributed.world_size()]
        batches = load_batches(sentences.maker.make, own, self.config.clip_vil_p.workers)
        for _ in range(0, len(keys), distributed.world_size()):
            batch = distributed.on_all_ranks(lambda: next(batches, None))
            with torch.inference_mode():
                scored = batch and (batch[0], self.compute(batch, self.network))
            if distributed.world_size() == 1:
                yield from [scored] if scored else []
            else:
                own_part = scored and (scored[0], scored[1].cpu())
                yield from (part for part in distributed.all_gather(own_part) if part)

    def compute(self, batch: tuple[np.ndarray, Pictures, Tensor], network: nn.Module) -> Tensor:
        """Compute the logits (B, classes) float32 of a batch by the network or a wrapper of it."""
        _, pictures, pieces = batch
        device = self.config.device
        with autocast(self.config.clip_vil_p.precision, device):
            return network(pictures.to(device), pieces.to(device)).float()

    def explain(self, records: Sequence[Any], number: int) -> Explanation:
        """Compute the Grad-CAM heat map of the logit of a class over the image of a record."""
        _, pictures, pieces = self.encode(records).maker.make(np.arange(1))
        pictures, pieces = pictures.to(self.config.device), pieces.to(self.config.device)
        self.network.eval()
        with torch.no_grad():
            grid, mask = self.network.trunk(pictures)
        grid = grid.float().requires_grad_()
        with torch.enable_grad():
            logit = self.network.classify(grid, mask, pieces)[0, number]
            (gradient,) = torch.autograd.grad(logit, grid)
        heat = (grid.detach()[0] @ gradient[0].mean((0, 1))).relu() * mask[0]
        heat = self.network.trunk.as_grid(heat, pictures.pixels).cpu().numpy()
        image = pictures.pixels[0].permute(1, 2, 0).cpu().numpy()
        return Explanation(heat / (heat.max() or 1), image, logit.item())

    def start(self, run: Path) -> None:
        """Write settings and sizes of the pre-trained model into the folder of a new run."""
        base = run / _BASE
        base.mkdir(exist_ok=True)
        write_text(base / CONFIG, to_json(self._base))
        self.pieces.save(base)
        assert self._tower is not None
        save_description(base, self.network.stream.bert, self._tower)


class FineTuningSteps:
    """Gradients of fine-tuning, with both optimisers and batches of one orientation.

    Under torchrun, each process computes the gradients of its part of a batch, and all of them
    together those of one process with a batch of all parts.
    """

    def __init__(
        self,
        model: FineTuning,
        sentences: ImageSentences,
        loss_of: Callable[[Tensor, np.ndarray], Tensor],
    ) -> None:
        self._model, self._sentences, self._loss_of = model, sentences, loss_of
        config = self._config = model.config
        self.optimiser = JointOptimiser(
            model.network,
            model.network.trunk,
            config.optimiser,
            config.clip_vil_p.trunk_optimiser,
            config.clip_vil_p.precision,
        )
        ranks = distributed.world_size()
        self._order = GroupedOrder(
            sentences.portrait,
            config.batch_size * ranks,
            config.seed,
            ranks,
            groups=sentences.groups,
            group_size=sentences.group_size,
        )
        self._wrapped = distributed.wrap_ddp(model.network)  # copies the weights of rank 0
        self._batches: Iterator = iter(())
        self._next = -1  # iteration whose batches come next

    def noise(self, iteration: int) -> int:
        """Return the seed of torch's random numbers in an iteration."""
        stream, rank = Stream.PAIR_FINE_TUNING_NOISE, distributed.rank()
        return rank_iteration_seed(self._config.seed, stream, iteration, rank)

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of the batches of an iteration (from 0)."""
        settings = self._config.clip_vil_p
        if iteration != self._next:
            rank, ranks = distributed.rank(), distributed.world_size()
            numbers = count(iteration * settings.accumulate)
            # Neighbours, because sentences about one image follow each other.
            keys = (self._order.batch(number).reshape(ranks, -1)[rank] for number in numbers)
            self._batches = load_batches(self._sentences.maker.make, keys, settings.workers)
        self._next = iteration + 1
        self.optimiser.set_trunk_rate(iteration)
        total = 0.0
        for _ in range(settings.accumulate - 1):
            with distributed.unsynchronised(self._wrapped):
                total += self._add_gradient()
        total += self._add_gradient()
        return {
            "loss": distributed.mean_over_ranks(total, torch.device(self._config.device)),
            "trunk_learning_rate": self.optimiser.trunk_rate,
            **self.optimiser.unscale(),
        }

    def _add_gradient(self) -> float:
        """Add the gradient of the next batch; return its loss, divided by the batches."""
        batch = distributed.on_all_ranks(lambda: next(self._batches))
        logits = self._model.compute(batch, self._wrapped)
        loss = self._loss_of(logits, batch[0]) / self._config.clip_vil_p.accumulate
        (loss * self.optimiser.loss_scale).backward()
        return loss.item()
