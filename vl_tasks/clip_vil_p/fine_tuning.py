"""Fine-tuning of a pre-trained CLIP-ViL_p on a task with classes: answers or labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from encoders.explanations import Explanation
from storage import write_text
from storage.json_files import read_json_object
from training.checkpoints import save_model
from training.learners import Selection, Summary
from training.settings import CONFIG, read_config, to_json
from training.setup import iteration_seed
from training.trainer import Trainer
from vl_tasks.clip_vil_p.building import TRUNK, build_network, load_run, save_description
from vl_tasks.clip_vil_p.data.answers import convert_answer
from vl_tasks.clip_vil_p.data.batch import Pictures
from vl_tasks.clip_vil_p.data.grouped_order import GroupedOrder, exact_batches
from vl_tasks.clip_vil_p.data.loading import load_batches
from vl_tasks.clip_vil_p.data.pictures import image_size, is_portrait, read_pictures
from vl_tasks.clip_vil_p.data.word_pieces import WordPieces
from vl_tasks.clip_vil_p.networks.heads import AnswerHead, initialise_from_answers
from vl_tasks.clip_vil_p.networks.network import PretrainingNetwork, describe_stream
from vl_tasks.clip_vil_p.optimisers import JointOptimiser, autocast, set_matmul_precision
from vl_tasks.settings.configs import EntailmentConfig, VqaConfig
from vl_tasks.settings.pretraining import PretrainConfig

_BASE = "clip_vil_p"  # folder within a run: settings and sizes of the pre-trained model
_NOISE = 47


class FineTunedNetwork(nn.Module):
    """Trunk and transformer of a pre-trained network, with a new head.

    Args:
        pretrained: Pre-trained network, which is taken apart.
        classes: Number of classes.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(self, pretrained: PretrainingNetwork, classes: int) -> None:
        super().__init__()
        self.trunk, self.stream = pretrained.trunk, pretrained.stream
        self.head = AnswerHead(pretrained.stream.bert.config.hidden_size, classes)
        self.architecture = {
            "model": "clip-vil-p",
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


class Sentences(NamedTuple):
    """N sentences about images.

    Attributes:
        maker: Makes batches of them.
        portrait: Orientation of the image of each sentence: (N,) bool.
        images: Number of the image of each sentence: (N,) int64.
    """

    maker: "SentenceBatches"
    portrait: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class SentenceBatches:
    """Makes batches of images and sentences.

    Attributes:
        paths: Image of each sentence.
        pieces: (N, words) int32 ids of word pieces, padded with 0.
        image_size: Shorter and longer side of the images in pixels.
    """

    paths: Sequence[Path]
    pieces: np.ndarray
    image_size: tuple[int, int]

    def make(self, key: np.ndarray) -> tuple[np.ndarray, Pictures, Tensor]:
        """Return numbers, images and word pieces of some sentences.

        Raises:
            FileNotFoundError: An image is missing.
            DamagedPictureError: An image cannot be read.
        """
        pictures = read_pictures([self.paths[row] for row in key], *self.image_size)
        pieces = self.pieces[key]
        longest = int((pieces != 0).sum(1).max())
        return key, pictures, torch.from_numpy(pieces[:, :longest].astype(np.int64))


class FineTuning:
    """Network of a task, built from the run `start` or the run to resume, and its inputs.

    Args:
        config: Settings of the task.
        classes: Classes: answers or labels. Answers that the pre-training learnt keep their output
            weights.
        run: Folder of the task's run, for a run that is resumed or used; None for a new run.

    Raises:
        FileNotFoundError: A folder is not a run.
        ValueError: A file is damaged.
    """

    def __init__(
        self, config: VqaConfig | EntailmentConfig, classes: Sequence[str], run: Path | None
    ) -> None:
        self.config = config
        set_matmul_precision(config.clip_vil_p.precision)
        self.known = 0
        if run is not None:
            base = run / _BASE
            self._base = read_config(base, PretrainConfig)
            self.pieces = WordPieces.load(base)
            pretrained, self._tower = build_network(self._base, base, 0), None
            self.network = FineTunedNetwork(pretrained, len(classes))
        else:
            assert config.start is not None  # check_start
            self._base, pretrained, self.pieces, answers = load_run(config.start)
            self._tower = read_json_object(config.start / TRUNK, "train the run again")
            self.network = FineTunedNetwork(pretrained, len(classes))
            if pretrained.answers is not None and isinstance(config, VqaConfig):
                head, names = pretrained.answers.state_dict(), list(classes)
                self.known = initialise_from_answers(
                    self.network.head, names, head, answers.classes, convert_answer
                )
        self.network.trunk.frozen_norms = config.clip_vil_p.frozen_norms
        self.network.to(memory_format=self.network.trunk.tower.layout)  # pyright: ignore
        self.network.to(config.device)
        self.metadata = {"word pieces": self.pieces.digest}

    def sentences(self, paths: Sequence[Path], texts: Sequence[str]) -> Sentences:
        """Prepare sentences about images.

        Args:
            paths: Image of each sentence.
            texts: The sentences.

        Raises:
            FileNotFoundError: An image is missing.
            ValueError: An image is damaged; names it.
        """
        numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
        upright = {path: is_portrait(*image_size(path)) for path in numbers}
        pieces = self.pieces.encode(texts, self.config.clip_vil_p.words)
        maker = SentenceBatches(list(paths), pieces, self._base.image_size)
        return Sentences(
            maker,
            np.array([upright[path] for path in paths], bool),
            np.array([numbers[path] for path in paths], np.int64),
        )

    def logits_of(self, sentences: Sentences) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, classes) of all sentences, each exactly once."""
        self.network.eval()
        keys = exact_batches(sentences.portrait, self.config.evaluation_batch)
        for batch in load_batches(sentences.maker, keys, self._workers):
            with torch.inference_mode():
                yield batch[0], self.compute(batch)

    def compute(self, batch: tuple[np.ndarray, Pictures, Tensor]) -> Tensor:
        """Compute the logits (B, classes) float32 of a batch."""
        _, pictures, pieces = batch
        device = self.config.device
        with autocast(self.config.clip_vil_p.precision, device):
            return self.network(pictures.to(device), pieces.to(device)).float()

    def explain(self, sentences: Sentences, number: int) -> Explanation:
        """Compute the Grad-CAM heat map of a class over the image of the first sentence.

        Args:
            sentences: Sentences about images.
            number: Class whose logit is explained.
        """
        _, pictures, pieces = sentences.maker.make(np.arange(1))
        pictures, pieces = pictures.to(self.config.device), pieces.to(self.config.device)
        self.network.eval()
        with torch.no_grad():
            grid, mask = self.network.trunk(pictures)
        grid = grid.float().requires_grad_()
        with torch.enable_grad():
            logit = self.network.classify(grid, mask, pieces)[0, number]
            (gradient,) = torch.autograd.grad(logit, grid)
        heat = (grid.detach()[0] @ gradient[0].mean((0, 1))).relu() * mask[0]
        heat = heat.cpu().numpy()
        image = pictures.pixels[0].permute(1, 2, 0).cpu().numpy()
        return Explanation(heat / (heat.max() or 1), image, logit.item())

    def endless(self, sentences: Sentences, order: GroupedOrder, first: int) -> Iterator:
        """Yield the training batches from number `first` on, without end."""
        keys = (order.batch(number) for number in count(first))
        return load_batches(sentences.maker, keys, self._workers)

    def start(self, run: Path) -> None:
        """Write settings and sizes of the pre-trained model into the folder of a new run."""
        base = run / _BASE
        base.mkdir(exist_ok=True)
        write_text(base / CONFIG, to_json(self._base))
        self.pieces.save(base)
        assert self._tower is not None
        save_description(base, self.network.stream.bert, self._tower)

    @property
    def _workers(self) -> int:
        return self.config.clip_vil_p.workers


class FineTuningTask(Protocol):
    """Training sentences, targets and evaluation of a task."""

    metric: str
    """Name of the `evaluate` metric that selects the best checkpoint."""

    @property
    def fine_tuning(self) -> FineTuning:
        """Network and inputs."""
        ...

    @property
    def sentences(self) -> Sentences:
        """Training sentences."""
        ...

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Return the mean loss of training sentences `rows`."""
        ...

    def evaluate(self) -> Summary:
        """Return the metrics of the split `select_by`."""
        ...

    def start(self, run: Path) -> None:
        """Write the files of a new run besides settings and weights."""
        ...


class FineTuningLearner:
    """Adapter from a task to the `Trainer`, with both optimisers and batches of one orientation."""

    def __init__(self, task: FineTuningTask) -> None:
        self._task, self._model = task, task.fine_tuning
        config = self._config = self._model.config
        self.network: nn.Module = self._model.network
        self.metadata = self._model.metadata
        self.selection = Selection(config.select_by, task.metric)
        self.clipped = [self.network]
        trunk = self._model.network.trunk
        self.optimiser = JointOptimiser(
            self.network, trunk, config.optimiser, config.clip_vil_p.trunk
        )
        self._order = GroupedOrder(
            task.sentences.portrait,
            config.batch_size,
            config.seed,
            images=task.sentences.images,
            per_image=config.clip_vil_p.sentences_per_image,
        )
        self._batches: Iterator = iter(())
        self._next = -1  # iteration whose batches come next

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of the batches of an iteration (from 0)."""
        settings = self._config.clip_vil_p
        if iteration != self._next:
            first = iteration * settings.accumulate
            self._batches = self._model.endless(self._task.sentences, self._order, first)
        self._next = iteration + 1
        self.optimiser.set_trunk_rate(iteration)
        scale = self.optimiser.scale.factor if settings.precision == "fp16" else 1.0
        total = 0.0
        for _ in range(settings.accumulate):
            batch = next(self._batches)
            loss = self._task.loss_of(self._model.compute(batch), batch[0]) / settings.accumulate
            (loss * scale).backward()
            total += loss.item()
        figures = {"loss": total, "trunk_learning_rate": self.optimiser.trunk_rate}
        if settings.precision == "fp16":
            finite = self.optimiser.scale.unscale(self.network)
            figures |= {"loss_scale": scale, "skipped": float(not finite)}
        return figures

    def evaluate(self) -> dict[str, Summary]:
        """Return the metrics of the split `select_by`."""
        return {self._config.select_by: self._task.evaluate()}

    def start(self, run: Path) -> None:
        """Write the files of the task for a new run."""
        self._task.start(run)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the best weights."""
        metadata = {**self.metadata, "iteration": str(iteration)}
        save_model(run, self._model.network, metadata)


def make_fine_tuning_trainer(config: VqaConfig | EntailmentConfig, task: FineTuningTask) -> Trainer:
    """Build the trainer of a task, for a new run or the run to resume."""
    noise = partial(iteration_seed, config.seed, _NOISE)
    return Trainer(config, FineTuningLearner(task), noise)
