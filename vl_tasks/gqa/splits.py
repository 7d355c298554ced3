"""Splits of a GQA data folder: balanced questions, all questions and choices.

The names of the files end in SPLIT_balanced_questions.json, SPLIT_all_questions.json and
SPLIT_choices.json, as in the official data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.data_folders import find_split_file, split_file
from clipnav.vl_tasks.gqa.questions import (
    Choices,
    GqaQuestion,
    ImageQuestion,
    image_questions,
    read_gqa_choices,
    read_gqa_questions,
    read_secret_questions,
)
from clipnav.vl_tasks.gqa.scores import GqaScores, score_gqa

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
    all_path = find_split_file(folder, split, _ALL) if with_consistency else None
    choices_path = find_split_file(folder, split, _CHOICES)
    return GqaSplit(
        part.path,
        part.balanced,
        None if all_path is None else _entailed(all_path, part.balanced),
        None if choices_path is None else _choices(choices_path, part.balanced),
    )


def read_submitted(folder: Path, split: str) -> list[ImageQuestion]:
    """Read the questions of a split without answers: all, or the balanced ones."""
    path = find_split_file(folder, split, _ALL) or split_file(folder, split, _BALANCED)
    return image_questions(path, read_secret_questions(path))


def _choices(path: Path, balanced: Mapping[str, GqaQuestion]) -> dict[str, Choices]:
    choices = read_gqa_choices(path)
    missing = next((key for key in balanced if key not in choices), None)
    if missing is not None:
        raise UserError(
            f"{path}: question {missing} has no choices; take the choices file of this split, or "
            "remove it to score without validity and plausibility"
        )
    return choices


def _entailed(path: Path, balanced: Mapping[str, GqaQuestion]) -> dict[str, GqaQuestion]:
    questions = read_gqa_questions(path)
    needed = {other: key for key, one in balanced.items() for other in one.entailed}
    missing = next((other for other in needed if other not in questions), None)
    if missing is not None:
        raise UserError(
            f"{path}: question {missing}, which question {needed[missing]} entails, is missing; "
            "take the file of all questions of this split, or set --no-consistency"
        )
    return {key: questions[key] for key in needed if key not in balanced}
