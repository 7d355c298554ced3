"""Train a VQA model and evaluate its answers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.vl_tasks.clip_vil_p.fine_tuning_learner import fine_tune
from clipnav.vl_tasks.data.own_questions import find_own_questions, read_own_questions
from clipnav.vl_tasks.data.questions import (
    Question,
    question_images,
    read_questions,
    wanted_images,
    with_distinct_ids,
)
from clipnav.vl_tasks.data_folders import data_folder, image_folder, image_folders, split_file
from clipnav.vl_tasks.grids.regions import RegionSource, find_named_regions, find_regions
from clipnav.vl_tasks.grids.sources import open_source
from clipnav.vl_tasks.settings.clip_vil_p import FINE_TUNED_MODELS
from clipnav.vl_tasks.settings.configs import HELD_OUT, QuestionConfig, Reduction, VqaConfig
from clipnav.vl_tasks.subsets import held_out_names, parted
from clipnav.vl_tasks.text.sentences import run_vocabulary
from clipnav.vl_tasks.training import FinalScores, train_task, warn_of_training_data
from clipnav.vl_tasks.vqa.accuracy import VqaScores, score_predictions
from clipnav.vl_tasks.vqa.answers import (
    AnswerVocabulary,
    check_answer,
    normalised,
    normalised_question,
)
from clipnav.vl_tasks.vqa.inputs import FeatureInputs, FineTuningInputs, Source, best_answers
from clipnav.vl_tasks.vqa.submissions import write_submission

ANSWERS = "answers.json"


class SoftTargets:
    """Soft scores of the answers to N questions, as sparse rows.

    Args:
        questions: Questions with annotated answers.
        answers: Answer vocabulary.
    """

    def __init__(self, questions: Sequence[Question], answers: AnswerVocabulary) -> None:
        scores = [answers.scores(question) for question in questions]
        self._classes = len(answers)
        self._first = np.concatenate([[0], np.cumsum([len(one) for one in scores])])
        self._index = np.array([k for one in scores for k in one], np.int64)
        self._value = np.array([v for one in scores for v in one.values()], np.float32)

    @property
    def is_empty(self) -> bool:
        """Whether no question has an answer of the vocabulary."""
        return not len(self._index)

    def batch(self, rows: np.ndarray) -> Tensor:
        """Return the targets (B, classes) of the questions `rows`."""
        targets = np.zeros((len(rows), self._classes), np.float32)
        for target, row in zip(targets, rows, strict=True):
            entries = slice(self._first[row], self._first[row + 1])
            target[self._index[entries]] = self._value[entries]
        return torch.from_numpy(targets)


def answer_loss(scores: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Compute the binary cross-entropy, summed over answers and reduced over questions.

    "mean" is mmf's `logit_bce`, and for the three branches (B, 3, classes) of MoVie+MCAN
    `triple_logit_bce`, the sum over branches. "sum" is openvqa's `BCELoss(reduction="sum")`.
    """
    if scores.dim() == 3:
        targets = targets[:, None].expand_as(scores)
    total = F.binary_cross_entropy_with_logits(scores, targets, reduction="sum")
    return total if reduction == "sum" else total / len(scores)


def scaled_answer_loss(logits: Tensor, targets: Tensor, config: QuestionConfig) -> Tensor:
    """Compute the binary cross-entropy as the settings of a run require.

    With --clip-vil-p.loss-scale, it is averaged over answers and questions and multiplied by this
    factor; otherwise see `answer_loss`.
    """
    targets = targets.to(logits.device)
    scale = config.clip_vil_p.loss_scale
    if config.model in FINE_TUNED_MODELS and scale is not None:
        return scale * F.binary_cross_entropy_with_logits(logits, targets)
    return answer_loss(logits, targets, config.reduction)


def given_answers(config: QuestionConfig) -> AnswerVocabulary | None:
    """Read the answer vocabulary of the run to resume, or that of --answers; None without both."""
    path = config.answers if config.resume is None else config.resume / ANSWERS
    return None if path is None else AnswerVocabulary.load(path)


def no_answers(folder: Path) -> UserError:
    """Return the error of a data folder whose answers are not in the answer vocabulary."""
    return UserError(
        f"{folder}: no training question has an answer of the answer vocabulary; omit --answers, "
        "or use the vocabulary of this data set"
    )


class VqaLearner:
    """VQA network with its training and evaluation questions.

    Args:
        config: Settings of the run.
    """

    metric = "accuracy"

    def __init__(self, config: VqaConfig) -> None:
        self.config = config
        warn_of_training_data(config, config.evaluated_splits)
        self.folder = data_folder(config)
        own = find_own_questions(self.folder)
        self._own = None if own is None else read_own_questions(own)
        self.splits: dict[str, list[Question]] = {}
        read = [self._read_training(split) for split in config.train_splits]
        examples = [one for part in with_distinct_ids(read) for one in part]
        if config.select_by == HELD_OUT:
            self.splits[HELD_OUT], examples = parted(examples, self._picture)
        self.examples = examples
        self.records = len(examples)
        for split in config.evaluated_splits:
            if split != HELD_OUT:
                self.splits[split] = self._read(split)
        if config.submit is not None and config.submit not in self.splits:
            self.splits[config.submit] = self._read(config.submit, secret=True)
        self.answers = self._answer_vocabulary()
        self._targets = SoftTargets(examples, self.answers)
        if self._targets.is_empty:
            raise no_answers(self.folder)
        if config.model in FINE_TUNED_MODELS:
            self.inputs = self._fine_tuning()
        else:
            texts = [one.text for one in examples]
            self.words = run_vocabulary(config.resume, texts, config.tokenizer)
            self.inputs = self._feature_inputs()
        self.network = self.inputs.network
        self.metadata = self.inputs.metadata
        self.encoded: Any = self.inputs.encode(examples)

    def loss(self, rows: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of the training questions `rows`."""
        assert isinstance(self.inputs, FeatureInputs)
        return self.loss_of(self.inputs.compute(self.examples, self.encoded, rows), rows), {}

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Compute the loss of the training questions `rows` from their logits."""
        return scaled_answer_loss(logits, self._targets.batch(rows), self.config)

    def evaluate(self) -> dict[str, float]:
        """Return the accuracy 0..1 on the split `select_by`, overall and by answer type."""
        scores = self.score(self.splits[self.config.select_by])
        by_type = {name or "other": value / 100 for name, value in scores.by_answer_type.items()}
        return {"accuracy": scores.overall / 100, **by_type}

    def answer(self, questions: Sequence[Question]) -> dict[int, str]:
        """Return the most probable answer to each question by question id."""
        return best_answers(self.inputs, self.answers, questions)

    def score(self, questions: Sequence[Question]) -> VqaScores:
        """Score the model's answers to questions with the official accuracy."""
        answers = self.as_annotated(self.answer(questions))
        return score_predictions(questions, answers, self.config.variant)

    def as_annotated(self, answers: dict[int, str]) -> dict[int, str]:
        """Return answers in the form of the annotated ones, which is normalised for own questions.

        The accuracy compares answers literally if all annotations are equal.
        """
        if self._own is None:
            return answers
        return {number: normalised(answer) for number, answer in answers.items()}

    def start(self, run: Path) -> None:
        """Write the vocabularies."""
        self.inputs.start(run)
        self.answers.save(run / ANSWERS)

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the scores of a split."""
        scores = self.score(self.splits[split])
        kinds = ", ".join(f"{kind or 'other'} {v:.1f}" for kind, v in scores.by_answer_type.items())
        text = (
            f"{split}: accuracy {scores.overall:.2f} ({scores.variant}, {scores.questions} "
            f"questions): {kinds}"
        )
        yield FinalScores(split, asdict(scores), text)

    def write_submission(self, split: str, path: Path) -> None:
        """Write the answers to the questions of a split."""
        answers = self.answer(self.splits[split])
        if distributed.rank() == 0:
            write_submission(path, answers)

    def _picture(self, question: Question) -> int | str:
        """Return the image of a question as `is_held_out` takes it."""
        if self._own is None:
            return question.image_id
        return self._held_out_names[question.image_id]

    @cached_property
    def _held_out_names(self) -> list[str]:
        """Names of the user's photos by image id, as the pre-training has them."""
        assert self._own is not None
        return held_out_names(self._own.photos)

    def _read_training(self, split: str) -> list[Question]:
        """Read the questions of a split for training."""
        return self._read(split)

    def _read(self, split: str, secret: bool = False) -> list[Question]:
        if self._own is not None:
            if split != "train" or secret:
                raise UserError(
                    f"{self.folder}: a questions.csv or questions.json has no split {split!r}; set "
                    "--select-by held-out --evaluation-splits held-out, and omit --submit"
                )
            for one in self._own.questions:
                for answer in one.answers:
                    check_answer(answer, self._own.path, one.question_id)
            return [normalised_question(one) for one in self._own.questions]
        questions = split_file(self.folder, split, "_questions.json")
        if secret:
            return read_questions(questions)
        return read_questions(questions, split_file(self.folder, split, "_annotations.json"))

    def _fine_tuning(self) -> FineTuningInputs:
        """Load the pre-trained network."""
        return FineTuningInputs(self.config, self.answers, self._images(), self.config.resume)

    def _feature_inputs(self) -> "FeatureInputs":
        """Open the features of all images, and fit a new network to them."""
        config = self.config
        inputs = FeatureInputs(config, self._source(), self.words, len(self.answers))
        if config.resume is None:
            inputs.initialise(list(dict.fromkeys(one.image_id for one in self.examples)))
        return inputs

    def _source(self) -> Source:
        """Open the features of all images; a model without vision requires no image files."""
        config = self.config
        if config.vision and config.regions is not None:
            return RegionSource(self._regions(config.regions))
        return open_source(config, self._images() if config.vision else {})

    def _regions(self, folder: Path) -> dict[int, Path]:
        """Find the region features of all questions; those of the user's photos by their names."""
        if self._own is None:
            return find_regions(folder, wanted_images(self._questions()))
        stems = self._own.stems()
        files = find_named_regions(folder, {stem: photo for stem, (_, photo) in stems.items()})
        return {number: files[stem] for stem, (number, _) in stems.items()}

    def _images(self) -> dict[int, Path]:
        """Find the images of all questions."""
        if self._own is not None:
            return self._own.find(image_folders(self.config, self.folder))
        return question_images(self._questions(), image_folder(self.config, self.folder))

    def _questions(self) -> list[Question]:
        return [*self.examples, *(one for split in self.splits.values() for one in split)]

    def _answer_vocabulary(self) -> AnswerVocabulary:
        given, count = given_answers(self.config), self.config.min_count
        if given is not None:
            return given
        if self._own is not None:  # where the alternatives of an answer are right as well
            return AnswerVocabulary.build_of_all(self.examples, count)
        return AnswerVocabulary.build(self.examples, count)


def train_vqa(config: VqaConfig) -> None:
    """Train a VQA model, evaluate the best checkpoint, and print and save the scores.

    Raises:
        OSError: A data file cannot be read.
        UserError: A data file is invalid; names file and record.
        DivergedError: The training diverged.
    """
    train = fine_tune if config.model == "clip-vil-p" else train_task
    train(config, VqaLearner)
