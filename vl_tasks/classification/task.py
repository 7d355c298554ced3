"""The task that questions, entailment and other classifications of texts about images share."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.training.learners import Optimiser, Summary
from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.classification.inputs import FeatureInputs
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning, FineTuningSteps
from clipnav.vl_tasks.data.images import find_named
from clipnav.vl_tasks.data_folders import data_folder, image_folder
from clipnav.vl_tasks.grids.regions import RegionSource, find_named_regions
from clipnav.vl_tasks.grids.sources import open_source
from clipnav.vl_tasks.settings.runs import HELD_OUT, FineTunableConfig, Reduction
from clipnav.vl_tasks.subsets import parted
from clipnav.vl_tasks.text.sentences import run_vocabulary
from clipnav.vl_tasks.training import FinalScores, Task, warn_of_training_data

ANSWERS = "answers.json"  # within the folder of a run


def class_loss(logits: Tensor, classes: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Compute the cross-entropy of the classes (B,), reduced over records.

    The losses of the three branches (B, 3, C) of MoVie+MCAN are added.
    """
    branches = logits[:, None] if logits.dim() == 2 else logits
    targets = classes[:, None].expand(branches.shape[:2])
    total = F.cross_entropy(branches.flatten(0, 1), targets.flatten(), reduction="sum")
    return total if reduction == "sum" else total / len(logits)


class ClassificationTask(Task):
    """Classes of texts about images, with training and evaluation records.

    A task defines `read`, whose records have `text`, `image_id` and `question_id`. By default, a
    record has one right answer, its attribute `answer`; the classes are the frequent answers of the
    training records; the loss is cross-entropy; the score is the share of right answers; and images
    are found by name, see `find_named`.

    Attributes:
        folder: Data folder.
        splits: Records by split, without the training splits.
        examples: Training records.
        answers: Names of the classes.
        inputs: Network and inputs.
    """

    def __init__(self, config: FineTunableConfig) -> None:
        self.config: Any = config
        self.folder = data_folder(config)
        self.splits: dict[str, list[Any]] = {}
        examples = self.read_examples()
        if config.select_by == HELD_OUT:
            self.splits[HELD_OUT], examples = self.hold_out(examples)
        for split in config.evaluated_splits:
            if split != HELD_OUT:
                self.splits[split] = self.read(split)
        if config.submit is not None and config.submit not in self.splits:
            self.splits[config.submit] = self.read(config.submit, secret=True)
        self.answers = self.choose_answers(examples)
        self.examples = self.learnable(examples)
        if not self.examples:
            raise UserError(
                f"{self.folder}: no training question has an answer of the answer vocabulary; omit "
                "--answers, or use the vocabulary of this data set"
            )
        self.records = len(self.examples)
        self.inputs: Any = self.make_inputs()
        self.network, self.metadata = self.inputs.network, self.inputs.metadata
        self.encoded: Any = self.inputs.encode(self.examples)
        self._split_inputs: dict[str, Any] = {}
        self._steps: FineTuningSteps | None = None

    def read(self, split: str, secret: bool = False) -> list[Any]:
        """Read the records of a split; those of a secret one need no answers."""
        raise NotImplementedError

    def read_examples(self) -> list[Any]:
        """Read the records of the training splits."""
        warn_of_training_data(self.config, self.config.evaluated_splits)
        return [one for split in self.config.train_splits for one in self.read(split)]

    def hold_out(self, examples: list[Any]) -> tuple[list[Any], list[Any]]:
        """Divide the training records into the split "held-out" and the others."""
        return parted(examples, self.held_out_name)

    def choose_answers(self, examples: Sequence[Any]) -> AnswerVocabulary:
        """Return the classes: those of the run to resume, of --answers, or the frequent answers."""
        config = self.config
        path = config.answers if config.resume is None else config.resume / ANSWERS
        if path is not None:
            return AnswerVocabulary.load(path)
        return self.count_answers(examples)

    def count_answers(self, examples: Sequence[Any]) -> AnswerVocabulary:
        """Return the classes of a new run without --answers."""
        counts = Counter(one.answer for one in examples)
        return AnswerVocabulary.of_counts(counts, self.config.min_count)

    def learnable(self, examples: list[Any]) -> list[Any]:
        """Return the training records whose answer is a class, and remember the classes."""
        known = [one for one in examples if one.answer in self.answers.classes]
        self._classes = np.array([self.answers.classes[one.answer] for one in known])
        return known

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Compute the loss of the training records `rows` from their logits."""
        classes = torch.from_numpy(self._classes[rows]).to(logits.device)
        return class_loss(logits, classes, getattr(self.config, "reduction", "mean"))

    def predict(self, records: Sequence[Any]) -> list[int]:
        """Return the most probable class of each record."""
        split = next((name for name, rows in self.splits.items() if rows is records), None)
        if split is None:
            encoded = self.inputs.encode(records)
        elif split in self._split_inputs:
            encoded = self._split_inputs[split]
        else:
            encoded = self._split_inputs[split] = self.inputs.encode(records)
        classes = np.empty(len(records), np.int64)
        for rows, logits in self.inputs.logits(records, encoded):
            classes[rows] = logits.argmax(1).cpu().numpy()
        return classes.tolist()

    def answer(self, records: Sequence[Any]) -> dict[Any, str]:
        """Return the most probable answer to each question by question id."""
        found = self.predict(records)
        answers = self.answers.answers
        return {one.question_id: answers[k] for one, k in zip(records, found, strict=True)}

    def score(self, split: str) -> Summary:
        """Return the metrics 0..1 of a split that select the best checkpoint."""
        records = self.splits[split]
        answers = self.answer(records)
        right = [answers[one.question_id] == one.answer for one in records]
        return {"accuracy": float(np.mean(right))}

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the scores of a split."""
        scores = {"questions": len(self.splits[split]), **self.score(split)}
        text = f"{split}: accuracy {100 * scores['accuracy']:.2f} ({scores['questions']} questions)"
        yield FinalScores(split, scores, text)

    def predictions(self, split: str) -> list[dict[str, Any]]:
        """Return the answers to the questions of a split as records of a submission."""
        answers = self.answer(self.splits[split])
        return [{"question_id": key, "answer": answer} for key, answer in answers.items()]

    def start(self, run: Path) -> None:
        """Write vocabularies, or the description of the pre-trained network."""
        self.inputs.start(run)
        self.answers.save(run / ANSWERS)

    def held_out_name(self, record: Any) -> int | str:
        """Return the image of a record as `is_held_out` takes it."""
        return record.image_id

    def wanted(self) -> Sequence[Any]:
        """Return all records whose images are used."""
        return [*self.examples, *(one for split in self.splits.values() for one in split)]

    def images(self) -> Mapping[Any, Path]:
        """Find the images of all records by id."""
        return find_named(image_folder(self.config, self.folder), self._names())

    def regions(self, folder: Path) -> Mapping[Any, Path]:
        """Find the region features of all images by id."""
        return find_named_regions(folder, self._names())

    def make_inputs(self) -> Any:
        """Build the network and its inputs."""
        config = self.config
        if config.is_fine_tuned:
            return FineTuning(config, self.answers.answers, self.images(), config.resume)
        texts = [one.text for one in self.examples]
        words = run_vocabulary(config.resume, texts, getattr(config, "tokenizer", "ours"))
        inputs = FeatureInputs(config, self.open_features(), words, len(self.answers))
        if config.resume is None:
            inputs.initialise(list(dict.fromkeys(one.image_id for one in self.examples)))
        return inputs

    def open_features(self) -> Any:
        """Open the features of all images; a model without vision requires no image files."""
        config = self.config
        if config.vision and getattr(config, "regions", None) is not None:
            return RegionSource(self.regions(config.regions), in_rows=config.REGIONS_IN_ROWS)
        return open_source(config, self.images() if config.vision else {})

    @property
    def steps(self) -> FineTuningSteps | None:
        """Gradients of a model that is trained with its image tower; None for other models."""
        if self._steps is None and self.config.is_fine_tuned:
            self._steps = FineTuningSteps(self.inputs, self.encoded, self.loss_of)
        return self._steps

    @property
    def optimiser(self) -> Optimiser:
        """Optimiser of all weights."""
        return super().optimiser if self.steps is None else self.steps.optimiser

    def noise(self, iteration: int) -> int:
        """Return the seed of torch's random numbers in an iteration."""
        return super().noise(iteration) if self.steps is None else self.steps.noise(iteration)

    def backward(self, iteration: int) -> Summary:
        """Add the gradients of an iteration (from 0), and return its figures."""
        steps = self.steps
        return super().backward(iteration) if steps is None else steps.backward(iteration)

    def loss(self, rows: np.ndarray) -> tuple[Tensor, Summary]:
        """Compute the loss of the training records `rows`."""
        return self.loss_of(self.inputs.compute(self.examples, self.encoded, rows), rows), {}

    def _names(self) -> dict[Any, str]:
        return {one.image_id: f"question {one.question_id}" for one in self.wanted()}
