"""Answer questions about an image, or abstain if the confidence is too low."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.reliability.folder import (
    DESCRIPTION,
    Description,
    RiskThreshold,
    open_selector,
)
from clipnav.vl_tasks.reliability.methods import predict_rows
from clipnav.vl_tasks.reliability.outputs import compute_outputs
from clipnav.vl_tasks.vqa.answering import as_questions


@dataclass(frozen=True)
class ReliableAnswer:
    """An answer, or an abstention.

    Attributes:
        answer: Most probable answer.
        confidence: Confidence in it, 0..1.
        threshold: Lowest confidence that is answered; None abstains always.
    """

    answer: str
    confidence: float
    threshold: float | None

    @property
    def is_given(self) -> bool:
        """Whether the confidence reaches the threshold."""
        return self.threshold is not None and self.confidence >= self.threshold

    @property
    def text(self) -> str:
        """The answer with its confidence, or the reason for abstaining."""
        confidence = f"confidence {self.confidence:.2f}"
        if self.threshold is None:
            return f"not sure: {confidence}, and no threshold keeps the tolerated risk"
        threshold = f"threshold {self.threshold:.2f}"
        if self.is_given:
            return f"{self.answer} ({confidence}, {threshold})"
        return f"not sure: {confidence}, {threshold}"


def answer_or_abstain(
    selector: Path,
    run: Path | None,
    image: Path,
    questions: Sequence[str],
    max_risk: float,
    device: str = "cpu",
) -> list[ReliableAnswer]:
    """Answer questions about an image with a tolerated risk."""
    opened = open_selector(selector, run, device)
    threshold = _threshold(selector, opened.description, max_risk)
    outputs = compute_outputs(opened.run, as_questions(questions), {0: image}, device)
    rows, unknown = np.arange(len(questions)), opened.description.unknown
    found = predict_rows(opened.estimator, outputs, rows, unknown, device=device)
    texts = AnswerVocabulary.load(opened.run / ANSWERS).answers
    return [
        ReliableAnswer(texts[number], float(confidence), threshold.threshold)
        for number, confidence in zip(*found, strict=True)
    ]


def _threshold(folder: Path, description: Description, max_risk: float) -> RiskThreshold:
    for one in description.thresholds:
        if one.risk == max_risk:
            return one
    stored = ", ".join(f"{one.risk:g}" for one in description.thresholds)
    raise UserError(
        f"{folder / DESCRIPTION}: no threshold for a risk of {max_risk:g} %; choose one of "
        f"{stored}, or train a selector with other --risks"
    )
