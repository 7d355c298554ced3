"""The official VQA accuracy, in the variants that published numbers were made with.

The accuracy of an answer is min(1, n / 3), where n of the other annotators gave it, averaged over
leaving out each annotator. The variants differ in how they normalise answers before comparing them:

    V0  GT-Vision-Lab/VQA of 2015 (07aecec)
    V1  openvqa, LAVIS, and GT-Vision-Lab/VQA from 2016 to March 2021: predictions are normalised,
        annotated answers only lose their punctuation
    V2  GT-Vision-Lab/VQA since (a013f00), the default: both are normalised, unless all annotated
        answers are identical; then the comparison is literal
    V3  reliable_vqa (d9586af): V2 with other rules for punctuation
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.classification.answers import agreement
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.text.normalising import Variant, normalise, strip_answer, without_marks

VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True)
class VqaScores:
    """Accuracy of a split in percent, rounded to two places as the official evaluators do.

    Attributes:
        variant: Variant of the evaluator.
        questions: Number of scored questions.
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
    """Return the accuracy 0..1 of a predicted answer.

    Args:
        prediction: Predicted answer.
        answers: Annotated answers, unchanged; ten in VQA v2.
        variant: Variant of the evaluator; see the module.

    Raises:
        UserError: There is no annotated answer, or the variant does not exist.
    """
    if variant not in VARIANTS:
        raise UserError(
            f"no variant {variant!r} of VQA accuracy; choose one of {', '.join(VARIANTS)}"
        )
    if not answers:
        raise UserError("an answer cannot be scored: no annotator answered the question")
    given, annotated = compared(prediction, answers, variant)
    return agreement(annotated.count(given), len(annotated))


def compared(
    prediction: str, answers: Sequence[str], variant: Variant
) -> tuple[str, tuple[str, ...]]:
    """Return the prediction and the annotated answers, normalised as the variant compares them."""
    if variant in ("V0", "V1"):
        differ = len(set(answers)) > 1
        annotated = tuple(without_marks(a, variant) for a in answers) if differ else tuple(answers)
        return normalise(prediction, variant), annotated
    annotated = tuple(strip_answer(answer) for answer in answers)
    if len(set(annotated)) == 1:
        return strip_answer(prediction), annotated
    return normalise(prediction, variant), tuple(normalise(text, variant) for text in annotated)


def score_predictions(
    questions: Sequence[Question], predictions: Mapping[int, str], variant: Variant = "V2"
) -> VqaScores:
    """Score the predictions for all questions of a split.

    The original V0 evaluator computes the mean per type over the last annotator only; this function
    averages over all annotators for every variant.
    """
    if not questions:
        raise UserError("no question to score")
    question_types, answer_types = defaultdict[str, list[float]](list), defaultdict(list)
    accuracies = []
    for question in questions:
        if question.question_id not in predictions:
            raise UserError(f"question_id {question.question_id} has no predicted answer")
        if not question.answers:
            raise UserError(f"question_id {question.question_id} has no annotated answer")
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
