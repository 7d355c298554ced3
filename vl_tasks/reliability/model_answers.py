"""Answers of models to val and test: of confidence estimators, and from predictions files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vl_tasks.data.questions import Question, read_questions
from vl_tasks.reliability.folder import (
    PARTS_FILE,
    OpenedSelector,
    open_selector,
    predictions_path,
    read_description,
)
from vl_tasks.reliability.methods import predict_rows
from vl_tasks.reliability.outputs import outputs_of
from vl_tasks.reliability.parts import questions_of_parts, read_parts
from vl_tasks.reliability.scores.answers import (
    ScoredAnswers,
    mixture,
    score_answers,
    score_predictions_file,
)
from vl_tasks.reliability.scores.report import ModelAnswers
from vl_tasks.reliability.splits import input_files, read_split
from vl_tasks.vqa.answers import AnswerVocabulary
from vl_tasks.vqa.learning import ANSWERS
from vl_tasks.vqa.normalising import Variant

Divided = Mapping[str, Sequence[Question]]


@dataclass(frozen=True)
class Shift:
    """Questions of another distribution that are mixed into test.

    Attributes:
        data: Data folder.
        split: Split of the data.
        share: Share of the shifted questions in the mixture.
        seed: Random seed of the mixture.
    """

    data: Path
    split: str
    share: float
    seed: int


def read_divided(questions: Path, annotations: Path, parts: Path) -> Divided:
    """Read questions with answers, and divide them.

    Raises:
        OSError: A file cannot be opened.
        UserError: A file is damaged, or the division is not one of these questions.
    """
    return questions_of_parts(read_questions(questions, annotations), read_parts(parts), str(parts))


def answers_of_file(
    name: str, test: Path, val: Path, divided: Divided, variant: Variant
) -> ModelAnswers:
    """Read the answers of a model from predictions files of val and test.

    Raises:
        OSError: A file cannot be opened.
        UserError: A file is damaged, has no confidence, or does not answer each question once.
    """
    scored = {
        part: score_predictions_file(path, divided[part], variant)
        for part, path in (("val", val), ("test", test))
    }
    return ModelAnswers(name, scored["val"], scored["test"])


def answers_of_selector(
    name: str, folder: Path, variant: Variant, shift: Shift | None = None, device: str = "cpu"
) -> ModelAnswers:
    """Read the answers of a confidence estimator; with a shift, answer the shifted questions.

    Raises:
        OSError: A file cannot be opened.
        UserError: A file is damaged, or the model of the VQA run has changed.
    """
    description = read_description(folder)
    files = Path(description.questions), Path(description.annotations)
    divided = read_divided(*files, folder / PARTS_FILE)
    paths = predictions_path(folder, "test"), predictions_path(folder, "val")
    answers = answers_of_file(name, *paths, divided, variant)
    if shift is None:
        return answers
    shifted = _shifted_answers(open_selector(folder, device=device), shift, variant, device)
    return replace(answers, test=mixture(answers.test, shifted, shift.share, shift.seed))


def _shifted_answers(
    selector: OpenedSelector, shift: Shift, variant: Variant, device: str
) -> ScoredAnswers:
    """Answer the shifted questions with the VQA model and the estimator of a folder."""
    vqa = replace(selector.vqa, data=str(shift.data), images=None)
    questions = read_split(shift.data, shift.split, "--shift.split").questions
    images = input_files(vqa, questions)
    outputs = outputs_of(selector.run, vqa, questions, images, device)
    rows, unknown = np.arange(len(questions)), selector.description.unknown
    found = predict_rows(selector.estimator, outputs, rows, unknown, device=device)
    answers = AnswerVocabulary.load(selector.run / ANSWERS)
    return score_answers(found.by_question(questions, answers), questions, variant)
