"""Scored answers of one or several models, read from predictions files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.scores.metrics import Answers
from clipnav.vl_tasks.text.normalising import Variant
from clipnav.vl_tasks.vqa.accuracy import vqa_accuracy
from clipnav.vl_tasks.vqa.submissions import read_sure_submission


@dataclass(frozen=True, eq=False)
class ScoredAnswers:
    """Answers to N questions with the image of each.

    Attributes:
        answers: Accuracy and confidence.
        images: (N,) numbers of the images.
    """

    answers: Answers
    images: np.ndarray


def score_predictions_file(
    path: Path, questions: Sequence[Question], variant: Variant
) -> ScoredAnswers:
    """Score a predictions file [{"question_id", "answer", "confidence"}]."""
    return score_answers(read_sure_submission(path, questions), questions, variant)


def score_answers(
    predictions: Mapping[int, tuple[str, float]], questions: Sequence[Question], variant: Variant
) -> ScoredAnswers:
    """Score answers with their confidence by question id."""
    given = [predictions[question.question_id] for question in questions]
    accuracy = [
        vqa_accuracy(answer, question.answers, variant)
        for (answer, _), question in zip(given, questions, strict=True)
    ]
    images = np.unique([question.image_id for question in questions], return_inverse=True)[1]
    confidence = np.array([confidence for _, confidence in given], float)
    return ScoredAnswers(Answers(np.array(accuracy), confidence), images)


def mixture(
    usual: ScoredAnswers, shifted: ScoredAnswers, share: float, seed: int = 0
) -> ScoredAnswers:
    """Mix answers to usual questions with answers to shifted ones, whose images are others.

    As many questions as possible are drawn at random without replacement; equal numbers and seeds
    give the same questions for every model.
    """
    available = len(usual.images), len(shifted.images)
    total = available[1] / share
    if share < 1:
        total = min(total, available[0] / (1 - share))
    count = round(total * share)
    if not count:
        raise UserError(
            f"a share of {share:g} of {round(total)} questions is less than one shifted question; "
            "choose a larger --shift.share"
        )
    rng = Stream.SHIFTED_ANSWERS.rng(seed)
    rows = [
        np.sort(rng.permutation(len(part.images))[:number])
        for part, number in ((usual, round(total) - count), (shifted, count))
    ]
    answers = Answers(
        _joined(usual.answers.accuracy, shifted.answers.accuracy, rows),
        _joined(usual.answers.confidence, shifted.answers.confidence, rows),
    )
    other_images = shifted.images + 1 + int(usual.images.max())
    return ScoredAnswers(answers, _joined(usual.images, other_images, rows))


def _joined(first: np.ndarray, second: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([first[rows[0]], second[rows[1]]])
