"""Visual question answering."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.training.learners import Summary
from clipnav.vl_tasks.classification.answers import (
    AnswerVocabulary,
    check_answer,
    normalised,
    normalised_question,
)
from clipnav.vl_tasks.classification.task import ClassificationTask
from clipnav.vl_tasks.data.own_questions import find_own_questions, read_own_questions
from clipnav.vl_tasks.data.questions import (
    Question,
    question_images,
    read_questions,
    wanted_images,
    with_distinct_ids,
)
from clipnav.vl_tasks.data_folders import data_folder, image_folder, image_folders, split_file
from clipnav.vl_tasks.grids.regions import find_named_regions, find_regions
from clipnav.vl_tasks.settings.runs import QuestionConfig, Reduction
from clipnav.vl_tasks.subsets import held_out_names
from clipnav.vl_tasks.training import FinalScores, warn_of_training_data
from clipnav.vl_tasks.vqa.accuracy import VqaScores, score_predictions
from clipnav.vl_tasks.vqa.settings import VqaConfig


class SoftTargets:
    """Soft scores of the answers to N questions, as sparse rows."""

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
    if config.is_fine_tuned and scale is not None:
        return scale * F.binary_cross_entropy_with_logits(logits, targets)
    return answer_loss(logits, targets, config.reduction)


class VqaTask(ClassificationTask):
    """VQA v2, or the user's own questions, with soft scores of answers as targets."""

    def __init__(self, config: VqaConfig) -> None:
        own = find_own_questions(data_folder(config))
        self._own = None if own is None else read_own_questions(own)
        super().__init__(config)

    def read_examples(self) -> list[Any]:
        """Read the questions of the training splits."""
        warn_of_training_data(self.config, self.config.evaluated_splits)
        read = [self.read_training(split) for split in self.config.train_splits]
        return [one for part in with_distinct_ids(read) for one in part]

    def read_training(self, split: str) -> list[Any]:
        """Read the questions of a training split."""
        return self.read(split)

    def read(self, split: str, secret: bool = False) -> list[Any]:
        """Read the questions of a split."""
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

    def count_answers(self, examples: Sequence[Any]) -> AnswerVocabulary:
        """Return the classes of a new run without --answers."""
        # In own questions, the alternatives of an answer are right as well.
        build = AnswerVocabulary.build if self._own is None else AnswerVocabulary.build_of_all
        return build(examples, self.config.min_count)

    def learnable(self, examples: list[Any]) -> list[Any]:
        """Return all training questions, if one has an answer of the vocabulary."""
        self._targets = SoftTargets(examples, self.answers)
        return [] if self._targets.is_empty else examples

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Compute the loss of the training questions `rows` from their logits."""
        return scaled_answer_loss(logits, self._targets.batch(rows), self.config)

    def score(self, split: str) -> Summary:
        """Return the accuracy 0..1 on a split, overall and by answer type."""
        scores = self.official_scores(split)
        by_type = {name or "other": value / 100 for name, value in scores.by_answer_type.items()}
        return {"accuracy": scores.overall / 100, **by_type}

    def official_scores(self, split: str) -> VqaScores:
        """Score the model's answers to the questions of a split with the official accuracy."""
        questions = self.splits[split]
        answers = self.as_annotated(self.answer(questions))
        return score_predictions(questions, answers, self.config.variant)

    def as_annotated(self, answers: dict[int, str]) -> dict[int, str]:
        """Return answers in the form of the annotated ones, which is normalised for own questions.

        The accuracy compares answers literally if all annotations are equal.
        """
        if self._own is None:
            return answers
        return {number: normalised(answer) for number, answer in answers.items()}

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the scores of a split."""
        scores = self.official_scores(split)
        kinds = ", ".join(f"{kind or 'other'} {v:.1f}" for kind, v in scores.by_answer_type.items())
        text = (
            f"{split}: accuracy {scores.overall:.2f} ({scores.variant}, {scores.questions} "
            f"questions): {kinds}"
        )
        yield FinalScores(split, asdict(scores), text)

    def held_out_name(self, record: Any) -> int | str:
        """Return the image of a question as `is_held_out` takes it."""
        return record.image_id if self._own is None else self._photo_names[record.image_id]

    @cached_property
    def _photo_names(self) -> list[str]:
        """Names of the user's photos by image id, as the pre-training has them."""
        assert self._own is not None
        return held_out_names(self._own.photos)

    def regions(self, folder: Path) -> Mapping[Any, Path]:
        """Find the region features of all questions; those of the user's photos by their names."""
        if self._own is None:
            return find_regions(folder, wanted_images(self.wanted()))
        stems = self._own.stems()
        files = find_named_regions(folder, {stem: photo for stem, (_, photo) in stems.items()})
        return {number: files[stem] for stem, (number, _) in stems.items()}

    def images(self) -> Mapping[Any, Path]:
        """Find the images of all questions by id."""
        if self._own is not None:
            return self._own.find(image_folders(self.config, self.folder))
        return question_images(self.wanted(), image_folder(self.config, self.folder))
