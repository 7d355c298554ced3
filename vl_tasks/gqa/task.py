"""GQA: question answering with official metrics of consistency, validity and plausibility.

The names of the files end in SPLIT_balanced_questions.json, SPLIT_all_questions.json and
SPLIT_choices.json, as in the official data.
"""

from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.training.learners import Summary
from clipnav.vl_tasks.classification.task import ClassificationTask
from clipnav.vl_tasks.data_folders import data_folder, find_split_file, split_file
from clipnav.vl_tasks.gqa.questions import (
    Choices,
    GqaQuestion,
    ImageQuestion,
    image_questions,
    read_gqa_choices,
    read_gqa_questions,
    read_secret_questions,
)
from clipnav.vl_tasks.gqa.scores import GqaScores, score_gqa, summary_line, type_lines
from clipnav.vl_tasks.gqa.settings import GqaConfig
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.training import FinalScores, warn_of_training_data
from clipnav.vl_tasks.vqa.task import scaled_answer_loss

_BALANCED, _ALL, _CHOICES = (
    f"_{name}.json" for name in ("balanced_questions", "all_questions", "choices")
)


@dataclass(frozen=True)
class GqaSplit:
    """Questions to answer and to score.

    Attributes:
        path: File of the balanced questions.
        balanced: Balanced questions by id.
        entailed: For the consistency, the other questions that balanced ones entail; None without
            consistency.
        choices: Valid and plausible answers; None without validity and plausibility.
    """

    path: Path
    balanced: Mapping[str, GqaQuestion]
    entailed: Mapping[str, GqaQuestion] | None = None
    choices: Mapping[str, Choices] | None = None

    @cached_property
    def questions(self) -> list[ImageQuestion]:
        """Balanced questions for a network."""
        return image_questions(self.path, self.balanced)

    @cached_property
    def entailed_questions(self) -> list[ImageQuestion]:
        """Entailed questions for a network."""
        return image_questions(self.path, self.entailed) if self.entailed else []

    def score(self, predictions: Mapping[str, str]) -> GqaScores:
        """Score predictions for all questions of the split."""
        questions = {**self.balanced, **(self.entailed or {})}
        return score_gqa(questions, predictions, self.choices, self.entailed is not None)


def read_split(folder: Path, split: str) -> GqaSplit:
    """Read the balanced questions of a split."""
    path = split_file(folder, split, _BALANCED)
    questions = read_gqa_questions(path)
    balanced = {key: one for key, one in questions.items() if one.balanced}
    image_questions(path, balanced)  # checks them
    return GqaSplit(path, balanced)


def read_scored_split(folder: Path, split: str, with_consistency: bool) -> GqaSplit:
    """Read the questions of a split with its choices and entailed questions, where it has these."""
    part = read_split(folder, split)
    entailed, choices = None, None
    all_path = find_split_file(folder, split, _ALL) if with_consistency else None
    if all_path is not None:
        questions = read_gqa_questions(all_path)
        needed = {other: key for key, one in part.balanced.items() for other in one.entailed}
        missing = next((other for other in needed if other not in questions), None)
        if missing is not None:
            raise UserError(
                f"{all_path}: question {missing}, which question {needed[missing]} entails, is "
                "missing; take the file of all questions of this split, or set --no-consistency"
            )
        entailed = {key: questions[key] for key in needed if key not in part.balanced}
    choices_path = find_split_file(folder, split, _CHOICES)
    if choices_path is not None:
        choices = read_gqa_choices(choices_path)
        missing = next((key for key in part.balanced if key not in choices), None)
        if missing is not None:
            raise UserError(
                f"{choices_path}: question {missing} has no choices; take the choices file of this "
                "split, or remove it to score without validity and plausibility"
            )
    return GqaSplit(part.path, part.balanced, entailed, choices)


def _read_submitted(folder: Path, split: str) -> list[ImageQuestion]:
    """Read the questions of a split without answers: all, or the balanced ones."""
    path = find_split_file(folder, split, _ALL) or split_file(folder, split, _BALANCED)
    return image_questions(path, read_secret_questions(path))


class GqaTask(ClassificationTask):
    """GQA's balanced questions, and the entailed ones for the consistency.

    Attributes:
        scored: Questions with their types and choices, by evaluated split.
    """

    def __init__(self, config: GqaConfig) -> None:
        self.scored: dict[str, GqaSplit] = {}
        self._submitted: list[ImageQuestion] = []
        if config.submit not in (None, HELD_OUT):
            self._submitted = _read_submitted(data_folder(config), config.submit)
        super().__init__(config)

    def read_examples(self) -> list[ImageQuestion]:
        """Read the training questions."""
        warn_of_training_data(self.config, self.config.evaluated_splits)
        self._parts = [read_split(self.folder, split) for split in self.config.train_splits]
        return [one for part in self._parts for one in part.questions]

    def hold_out(self, examples: list[Any]) -> tuple[list[Any], list[Any]]:
        """Divide the training questions into the split "held-out" and the others."""
        held_out, others = super().hold_out(examples)
        counts = Counter(one.question_id for one in held_out)
        repeated = next((name for name, count in counts.items() if count > 1), None)
        if repeated is not None:
            raise UserError(
                f"--select-by held-out: question {repeated} occurs in two of the training splits, "
                "so that its answer cannot be scored; train on one of them, or select by another "
                "split"
            )
        records = ChainMap(*(dict(part.balanced) for part in self._parts))
        balanced = {one.question_id: records[one.question_id] for one in held_out}
        self.scored[HELD_OUT] = GqaSplit(self._parts[0].path, balanced)
        return held_out, others

    def read(self, split: str, secret: bool = False) -> list[Any]:
        """Read the balanced and entailed questions of a split, or all those of a secret one."""
        if secret:
            return self._submitted
        part = read_scored_split(self.folder, split, self.config.consistency)
        self.scored[split] = part
        return [*part.questions, *part.entailed_questions]

    def loss_of(self, logits: Tensor, rows: ndarray) -> Tensor:
        """Compute the loss of the training questions `rows` from their logits."""
        if self.config.loss == "ce":
            return self._class_scale() * super().loss_of(logits, rows)
        classes = torch.from_numpy(self._classes[rows]).to(logits.device)
        targets = F.one_hot(classes, len(self.answers)).float()
        return scaled_answer_loss(logits, targets, self.config)

    def score(self, split: str) -> Summary:
        """Return the accuracies 0..1 on the balanced questions of a split."""
        part = self.scored[split]
        scores = score_gqa(part.balanced, self.answer(part.questions))
        values = {"accuracy": scores.accuracy, "binary": scores.binary, "open": scores.open}
        return {name: value / 100 for name, value in values.items() if value is not None}

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the official scores of a split."""
        part = self.scored[split]
        scores = part.score(self.answer(self.splits[split]))
        first = f"{split} ({len(part.balanced)} balanced questions): {summary_line(scores)}"
        yield FinalScores(split, asdict(scores), "\n  ".join([first, *type_lines(scores)]))

    def predictions(self, split: str) -> list[dict[str, Any]]:
        """Return the answers to all questions of a split as records of a submission."""
        answers = self.answer(self.splits[split] if split == HELD_OUT else self._submitted)
        return [{"questionId": key, "prediction": answer} for key, answer in answers.items()]

    def wanted(self) -> Sequence[Any]:
        """Return all questions whose images are used."""
        return [*super().wanted(), *self._submitted]

    def _class_scale(self) -> float:
        """Return the factor of the cross-entropy.

        CLIP-ViL-Pretrain/src/tasks/gqa.py (`mce_loss`) multiplies it by the number of answers, and
        then by the loss scale or, without one, by the number of answers again.
        """
        config, answers = self.config, len(self.answers)
        scale = config.clip_vil_p.loss_scale
        if config.faithful and config.model == "clip-vil-p":
            return answers * (answers if scale is None else scale)
        return 1.0 if scale is None else scale
