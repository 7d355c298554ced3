"""GQA predictions: [{"questionId": "201307251", "prediction": "yes"}, ...]."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from clipnav.storage.errors import UserError, shortened
from clipnav.storage.records import read_records
from clipnav.vl_tasks.gqa.questions import GqaQuestion
from clipnav.vl_tasks.gqa.scores import check_answered

_REMEDY = 'predictions are a JSON list of {"questionId": text, "prediction": text}'


class _Prediction(msgspec.Struct):
    questionId: str
    prediction: str


def read_gqa_predictions(
    path: Path, questions: Mapping[str, GqaQuestion], for_all: bool = False
) -> dict[str, str]:
    """Read predictions by question id."""
    predictions: dict[str, str] = {}
    for record in read_records(path, _Prediction, _REMEDY):
        if record.questionId in predictions:
            raise UserError(
                f"{path}: question {shortened(record.questionId)} is answered twice; remove one "
                "of the answers"
            )
        if record.questionId not in questions:
            raise UserError(
                f"{path}: question {shortened(record.questionId)} is not in the questions file; "
                "use the file of all questions of the split, or remove the answer"
            )
        predictions[record.questionId] = record.prediction
    try:
        check_answered(questions, predictions, lambda one: for_all or one.balanced)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return predictions
