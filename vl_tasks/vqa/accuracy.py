"""The official VQA accuracy, in the variants that published numbers were made with.

An answer is worth min(1, n / 3) when n of the other annotators gave it, averaged over leaving out
each annotator. What counts as the same answer differs:

    V0  GT-Vision-Lab/VQA of 2015 (07aecec)
    V1  openvqa, LAVIS, and GT-Vision-Lab/VQA from 2016 to March 2021: predictions are normalised,
        what annotators said only loses its punctuation
    V2  GT-Vision-Lab/VQA since (a013f00), the default: both are normalised, unless all annotators
        agree to the letter; then the comparison is literal
    V3  reliable_vqa (d9586af): V2 with other rules for punctuation
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from vl_tasks.data.questions import Question
from vl_tasks.vqa.normalising import Variant, normalise, strip_answer, without_marks

VARIANTS: tuple[Variant, ...] = get_args(Variant)
_ENOUGH = 3  # annotators with whom an answer is wholly right


@dataclass(frozen=True)
class VqaScores:
    """Accuracy of a split in percent, rounded to two places as the official evaluators do.

    Attributes:
        variant: Of the evaluator.
        questions: How many were scored.
        overall: Mean over all questions.
        by_question_type: Mean over the questions of each type.
        by_answer_type: Mean over the questions of each answer type.
    """

    variant: Variant
    questions: int
    overall: float
    by_question_type: dict[str, float]
    by_answer_type: dict[str, float]


def vqa_accuracy(prediction: str, answers: Sequence[str], variant: Variant = "V2") -> float:
    """Accuracy 0..1 of an answer.

    Args:
        prediction: The answer.
        answers: What the annotators said, unchanged; ten in VQA v2.
        variant: Of the evaluator; see the module.

    Raises:
        ValueError: No annotator, or no such variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant!r} of VQA accuracy; there are {', '.join(VARIANTS)}")
    if not answers:
        raise ValueError("an answer cannot be scored against no annotator")
    given, said = compared(prediction, answers, variant)
    return agreement(said.count(given), len(said))


def compared(
    prediction: str, answers: Sequence[str], variant: Variant
) -> tuple[str, tuple[str, ...]]:
    """A prediction and what annotators said, in the forms that a variant compares."""
    if variant in ("V0", "V1"):
        differ = len(set(answers)) > 1
        said = tuple(without_marks(a, variant) for a in answers) if differ else tuple(answers)
        return normalise(prediction, variant), said
    said = tuple(strip_answer(answer) for answer in answers)
    if len(set(said)) == 1:
        return strip_answer(prediction), said
    return normalise(prediction, variant), tuple(normalise(answer, variant) for answer in said)


def agreement(matching: int, annotators: int) -> float:
    """Accuracy 0..1 of an answer that `matching` of the annotators gave.

    Leaving out one who gave it leaves `matching` - 1; leaving out another leaves all.
    """
    others = matching * min(_ENOUGH, matching - 1) if matching else 0
    others += (annotators - matching) * min(_ENOUGH, matching)
    return others / (_ENOUGH * annotators)


def score_predictions(
    questions: Sequence[Question], predictions: Mapping[int, str], variant: Variant = "V2"
) -> VqaScores:
    """Score the answers to all questions of a split.

    V0's own evaluator gives, for each type, the mean over the last annotator only; this is the mean
    over all for every variant.

    Args:
        questions: With answers.
        predictions: By question id; others than those of the questions are not looked at.
        variant: Of the evaluator.

    Raises:
        ValueError: No question, or one without an answer, predicted or annotated.
    """
    if not questions:
        raise ValueError("no question to score")
    question_types, answer_types = defaultdict[str, list[float]](list), defaultdict(list)
    accuracies = []
    for question in questions:
        if question.question_id not in predictions:
            raise ValueError(f"question_id {question.question_id} has no predicted answer")
        if not question.answers:
            raise ValueError(f"question_id {question.question_id} has no annotated answer")
        prediction = predictions[question.question_id]
        accuracies.append(vqa_accuracy(prediction, question.answers, variant))
        question_types[question.question_type].append(accuracies[-1])
        answer_types[question.answer_type].append(accuracies[-1])
    return VqaScores(
        variant,
        len(questions),
        _percent(accuracies),
        {name: _percent(values) for name, values in sorted(question_types.items())},
        {name: _percent(values) for name, values in sorted(answer_types.items())},
    )


def _percent(accuracies: list[float]) -> float:
    return round(100 * sum(accuracies) / len(accuracies), 2)
