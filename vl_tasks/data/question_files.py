"""Writer of questions and answers in the format of VQA v2."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.data.questions import Question

ANNOTATORS = 10


def write_questions(
    questions: Sequence[Question],
    questions_path: Path,
    annotations_path: Path,
    data_type: str,
    subset: str,
) -> None:
    """Write a questions file and an annotations file, each atomically."""
    annotations = [
        {
            **_ids(question),
            "question_type": question.question_type,
            "answer_type": question.answer_type,
            "multiple_choice_answer": question.majority_answer,
            "answers": _answers(question.answers),
        }
        for question in questions
    ]
    write_question_file(questions, questions_path, data_type, subset)
    write_json(annotations_path, {**_header(data_type, subset), "annotations": annotations})


def write_question_file(
    questions: Sequence[Question], path: Path, data_type: str, subset: str
) -> None:
    """Write a questions file atomically, without annotations; see `write_questions`."""
    records = [{**_ids(question), "question": question.text} for question in questions]
    header = _header(data_type, subset)
    write_json(path, {**header, "task_type": "Open-Ended", "questions": records})


def _header(data_type: str, subset: str) -> dict[str, Any]:
    return {"data_type": data_type, "data_subtype": subset, "license": {}, "info": {}}


def _ids(question: Question) -> dict[str, int]:
    return {"question_id": question.question_id, "image_id": question.image_id}


def _answers(answers: Sequence[str]) -> list[dict[str, Any]]:
    repeated = list(answers) * ANNOTATORS if len(answers) == 1 else answers
    return [
        {"answer": answer, "answer_confidence": "yes", "answer_id": number}
        for number, answer in enumerate(repeated, start=1)
    ]
