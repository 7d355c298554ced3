"""The official scores of GQA, as openvqa's `gqa_eval.py` (f8f9966) computes them.

An answer is correct only if it is identical to the true answer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from clipnav.storage.errors import UserError, truncate
from clipnav.storage.records import read_records
from clipnav.vl_tasks.gqa.questions import Choices, GqaQuestion

Name = TypeVar("Name", str, int)

# Scores over all questions, in the order of reports.
SUMMARY = (
    "accuracy",
    "binary",
    "open",
    "validity",
    "plausibility",
    "consistency",
    "distribution",
)
# Valid answers of every comparison of two objects.
_COMMON = ("color", "material", "shape")
# Operations that only look up the answer and do not count as reasoning steps.
_NO_STEPS = ("exist", "query: name", "choose name")
_HINT = 'predictions are a JSON list of {"questionId": text, "prediction": text}'


@dataclass(frozen=True)
class Share:
    """Percentage of correct answers, and the number of questions."""

    percent: float
    questions: int


@dataclass(frozen=True)
class GqaScores:
    """Scores over the balanced questions, in percent unless stated otherwise.

    Attributes:
        accuracy: Accuracy over all questions.
        binary: Accuracy of all questions that are not query questions; None without such questions.
        open: Accuracy of the query questions; None without such questions.
        consistency: Mean, over correctly answered questions, of the accuracy on their entailed
            questions; None if not requested.
        validity: Share of answers in the question's scope; None without choices.
        plausibility: Share of plausible answers; None without choices.
        distribution: Chi-square of predicted against true answers per group, weighted by group
            size, divided by 100; lower is better. None if no question is in a group.
        by_structural_type: Accuracy by structural type: "verify", "query", ...
        by_semantic_type: Accuracy by semantic type: "attr", "rel", ...
        by_steps: Accuracy by number of reasoning steps.
        by_words: Accuracy by number of words of the question.
    """

    accuracy: float
    binary: float | None
    open: float | None
    consistency: float | None
    validity: float | None
    plausibility: float | None
    distribution: float | None
    by_structural_type: Mapping[str, Share]
    by_semantic_type: Mapping[str, Share]
    by_steps: Mapping[int, Share]
    by_words: Mapping[int, Share]


def score_gqa(
    questions: Mapping[str, GqaQuestion],
    predictions: Mapping[str, str],
    choices: Mapping[str, Choices] | None = None,
    with_consistency: bool = False,
) -> GqaScores:
    """Score predictions.

    The official programme always requires answers to unbalanced questions; this function requires
    them for consistency only.
    """
    _check_answered(questions, predictions, lambda one: with_consistency or one.balanced)
    balanced = {key: one for key, one in questions.items() if one.balanced}
    if not balanced:
        raise UserError("no balanced question to score")
    right = {key: predictions[key] == one.answer for key, one in balanced.items()}
    is_open = {key: one.types.structural == "query" for key, one in balanced.items()}
    return GqaScores(
        accuracy=_percent(right.values()) or 0.0,
        binary=_percent(right[key] for key in balanced if not is_open[key]),
        open=_percent(right[key] for key in balanced if is_open[key]),
        consistency=_consistency(questions, predictions, right) if with_consistency else None,
        validity=_fitting(balanced, predictions, choices, "valid"),
        plausibility=_fitting(balanced, predictions, choices, "plausible"),
        distribution=_distribution(balanced, predictions),
        by_structural_type=_shares(balanced, right, attrgetter("types.structural")),
        by_semantic_type=_shares(balanced, right, attrgetter("types.semantic")),
        by_steps=_shares(balanced, right, _count_steps),
        by_words=_shares(balanced, right, lambda question: len(question.question.split())),
    )


def summary_line(scores: GqaScores) -> str:
    """Return the scores over all questions as text; scores that were not computed are omitted."""
    values = {name: getattr(scores, name) for name in SUMMARY}
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items() if value is not None)


def type_lines(scores: GqaScores) -> list[str]:
    """Return the accuracies by type of question, by reasoning steps and by words, as lines."""
    tables = {
        "structural type": scores.by_structural_type,
        "semantic type": scores.by_semantic_type,
        "reasoning steps": scores.by_steps,
        "words": scores.by_words,
    }
    return [
        f"{title}: "
        + ", ".join(f"{name} {share.percent:.1f} ({share.questions})" for name, share in by.items())
        for title, by in tables.items()
    ]


def _count_steps(question: GqaQuestion) -> int:
    """Count the reasoning steps: operations that do more than look up the answer."""
    texts = (f"{step.operation}: {step.argument}" for step in question.semantic)
    return sum(not any(part in text for part in _NO_STEPS) for text in texts)


def _check_answered(
    questions: Mapping[str, GqaQuestion],
    predictions: Mapping[str, str],
    needed: Callable[[GqaQuestion], bool],
) -> None:
    """Check that all questions that `needed` selects have an answer."""
    missing = [key for key, one in questions.items() if needed(one) and key not in predictions]
    if missing:
        raise UserError(
            f"question {truncate(missing[0])} and {len(missing) - 1} others have no answer; add "
            "the answers"
        )


def _shares(
    balanced: Mapping[str, GqaQuestion],
    right: Mapping[str, bool],
    name_of: Callable[[GqaQuestion], Name],
) -> dict[Name, Share]:
    groups: dict[Name, list[bool]] = defaultdict(list)
    for key, question in balanced.items():
        groups[name_of(question)].append(right[key])
    return {
        name: Share(_percent(groups[name]) or 0.0, len(groups[name])) for name in sorted(groups)
    }


def _percent(right: Iterable[float]) -> float | None:
    values = list(right)
    return sum(values) / len(values) * 100 if values else None


def _consistency(
    questions: Mapping[str, GqaQuestion],
    predictions: Mapping[str, str],
    right: Mapping[str, bool],
) -> float | None:
    shares = []
    for key in (key for key, is_right in right.items() if is_right):
        entailed = [other for other in questions[key].entailed if other != key]
        unknown = next((other for other in entailed if other not in questions), None)
        if unknown is not None:
            raise UserError(
                f"question {key} entails {unknown}, which is missing; consistency requires the "
                "file of all questions, not only the balanced ones"
            )
        if entailed:
            shares.append(
                sum(predictions[one] == questions[one].answer for one in entailed) / len(entailed)
            )
    return _percent(shares)


def _fitting(
    balanced: Mapping[str, GqaQuestion],
    predictions: Mapping[str, str],
    choices: Mapping[str, Choices] | None,
    which: Literal["valid", "plausible"],
) -> float | None:
    if choices is None:
        return None
    missing = next((key for key in balanced if key not in choices), None)
    if missing is not None:
        raise UserError(f"question {missing} has no choices; take the choices file of this split")
    return _percent(
        predictions[key]
        in (_COMMON if "Common" in one.types.detailed else getattr(choices[key], which))
        for key, one in balanced.items()
    )


def _distribution(
    balanced: Mapping[str, GqaQuestion], predictions: Mapping[str, str]
) -> float | None:
    true: dict[str, Counter[str]] = defaultdict(Counter)
    predicted: dict[str, Counter[str]] = defaultdict(Counter)
    for key, one in balanced.items():
        if one.groups.global_ is not None:
            true[one.groups.global_][one.answer] += 1
            predicted[one.groups.global_][predictions[key]] += 1
    weighted = [
        counts.total() * sum((predicted[group][a] - n) ** 2 / n for a, n in counts.items())
        for group, counts in true.items()
    ]
    total = sum(counts.total() for counts in true.values())
    return sum(weighted) / total / 100 if total else None


class _Prediction(msgspec.Struct):
    questionId: str
    prediction: str


def read_gqa_predictions(
    path: Path, questions: Mapping[str, GqaQuestion], for_all: bool = False
) -> dict[str, str]:
    """Read predictions by question id."""
    predictions: dict[str, str] = {}
    for record in read_records(path, _Prediction, _HINT):
        if record.questionId in predictions:
            raise UserError(
                f"{path}: question {truncate(record.questionId)} is answered twice; remove one "
                "of the answers"
            )
        if record.questionId not in questions:
            raise UserError(
                f"{path}: question {truncate(record.questionId)} is not in the questions file; "
                "use the file of all questions of the split, or remove the answer"
            )
        predictions[record.questionId] = record.prediction
    try:
        _check_answered(questions, predictions, lambda one: for_all or one.balanced)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return predictions
