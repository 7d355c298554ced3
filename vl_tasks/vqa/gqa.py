"""The official scores of GQA, as openvqa's `gqa_eval.py` (f8f9966) computes them.

Questions file: {"<id>": {"question", "answer", "isBalanced", "types", "groups", "semantic",
"entailed"}}; choices file: {"<id>": {"valid": [...], "plausible": [...]}}; predictions:
[{"questionId", "prediction"}] (cs.stanford.edu/people/dorarad/gqa/evaluate.html). An answer is
right if it equals the true one to the letter.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from storage.messages import shortened
from storage.records import read_records
from vl_tasks.data.documents import read_table

Name = TypeVar("Name", str, int)

REMEDY = "take the file anew from cs.stanford.edu/people/dorarad/gqa, or see docs/vl_tasks.md"
# What a comparison of two things may be about, of whatever things.
_COMMON = ("color", "material", "shape")
# Steps that look up the answer and are no reasoning.
_NO_STEPS = ("exist", "query: name", "choose name")


class Types(msgspec.Struct, frozen=True):
    """What kind of question it is; "query" is the structural type of open ones."""

    structural: str
    semantic: str
    detailed: str = ""


class Step(msgspec.Struct, frozen=True):
    """A step of a question's functional programme."""

    operation: str
    argument: str


class Groups(msgspec.Struct, frozen=True):
    """Groups of questions that share a distribution of answers."""

    global_: str | None = msgspec.field(default=None, name="global")


class GqaQuestion(msgspec.Struct, frozen=True):
    """A question of GQA."""

    question: str
    answer: str
    balanced: bool = msgspec.field(name="isBalanced")
    types: Types
    groups: Groups = Groups()
    semantic: tuple[Step, ...] = ()
    entailed: tuple[str, ...] = ()
    imageId: str = ""


class Choices(msgspec.Struct, frozen=True):
    """Answers that fit a question, and those that fit the world besides."""

    valid: tuple[str, ...]
    plausible: tuple[str, ...]


@dataclass(frozen=True)
class Share:
    """Percent of right answers to so many questions."""

    percent: float
    questions: int


@dataclass(frozen=True)
class GqaScores:
    """Scores over the balanced questions, in percent unless said otherwise.

    Attributes:
        accuracy: Of all.
        binary: Of questions to choose or verify; None if there are none, here and below.
        open: Of questions that ask for something.
        consistency: Mean, over rightly answered questions, of the share of entailed questions that
            are rightly answered; None if not asked for.
        validity: Answers that fit the question; None without choices.
        plausibility: Answers that fit the world; None without choices.
        distribution: Chi-square of predicted against true answers per group, weighted by its size,
            over 100; lower is better. None if no question is in a group.
        by_structural_type: "verify", "query", ...
        by_semantic_type: "attr", "rel", ...
        by_steps: By length of the reasoning.
        by_words: By length of the question.
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


class _Prediction(msgspec.Struct):
    questionId: str
    prediction: str


def read_gqa_questions(path: Path) -> dict[str, GqaQuestion]:
    """Read a questions file.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is damaged.
    """
    return read_table(path, GqaQuestion, REMEDY)


def read_gqa_choices(path: Path) -> dict[str, Choices]:
    """Read a choices file; errors are those of `read_gqa_questions`."""
    return read_table(path, Choices, REMEDY)


def read_gqa_predictions(path: Path, questions: Mapping[str, GqaQuestion]) -> dict[str, str]:
    """Read predictions by question id.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged, or a question is answered twice, or one that is not there, or a
            balanced one not at all; the message names it.
    """
    found: dict[str, str] = {}
    for record in read_records(path, _Prediction, REMEDY):
        if record.questionId in found:
            raise ValueError(f"{path}: question {shortened(record.questionId)} is answered twice")
        if record.questionId not in questions:
            raise ValueError(f"{path}: there is no question {shortened(record.questionId)}")
        found[record.questionId] = record.prediction
    try:
        _check_answered(questions, found, lambda question: question.balanced)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return found


def score_gqa(
    questions: Mapping[str, GqaQuestion],
    predictions: Mapping[str, str],
    choices: Mapping[str, Choices] | None = None,
    with_consistency: bool = False,
) -> GqaScores:
    """Score predictions.

    The official programme needs answers to unbalanced questions even where it does not look at
    them; they are needed here for consistency only.

    Raises:
        ValueError: A needed prediction, or an entailed question, is missing; names it. Or no
            question is balanced.
    """
    _check_answered(questions, predictions, lambda one: with_consistency or one.balanced)
    balanced = {key: one for key, one in questions.items() if one.balanced}
    if not balanced:
        raise ValueError("no balanced question to score")
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
        by_structural_type=_shares(balanced, right, _structural),
        by_semantic_type=_shares(balanced, right, _semantic),
        by_steps=_shares(balanced, right, count_steps),
        by_words=_shares(balanced, right, _count_words),
    )


def count_steps(question: GqaQuestion) -> int:
    """Steps of reasoning: those of the programme that do not merely look up the answer."""
    texts = (f"{step.operation}: {step.argument}" for step in question.semantic)
    return sum(not any(part in text for part in _NO_STEPS) for text in texts)


def _structural(question: GqaQuestion) -> str:
    return question.types.structural


def _semantic(question: GqaQuestion) -> str:
    return question.types.semantic


def _count_words(question: GqaQuestion) -> int:
    return len(question.question.split())


def _check_answered(
    questions: Mapping[str, GqaQuestion],
    predictions: Mapping[str, str],
    needed: Callable[[GqaQuestion], bool],
) -> None:
    missing = [key for key, one in questions.items() if needed(one) and key not in predictions]
    if missing:
        raise ValueError(f"question {missing[0]} is not answered, nor {len(missing) - 1} others")


def _shares(
    balanced: Mapping[str, GqaQuestion],
    right: Mapping[str, bool],
    name_of: Callable[[GqaQuestion], Name],
) -> dict[Name, Share]:
    found: dict[Name, list[bool]] = defaultdict(list)
    for key, one in balanced.items():
        found[name_of(one)].append(right[key])
    return {name: Share(_percent(found[name]) or 0.0, len(found[name])) for name in sorted(found)}


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
            raise ValueError(
                f"question {key} entails {unknown}, which is not there; consistency needs the "
                "file of all questions, not only of the balanced ones"
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
        raise ValueError(f"question {missing} has no choices")
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
