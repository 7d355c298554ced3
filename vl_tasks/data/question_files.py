"""Writer of questions and answers in the format of VQA v2."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from storage import write_text
from vl_tasks.data.questions import Question

ANNOTATORS = 10


def write_questions(
    questions: Sequence[Question],
    questions_path: Path,
    annotations_path: Path,
    data_type: str,
    subset: str,
) -> None:
    """Write a questions file and an annotations file, each atomically.

    Args:
        questions: Questions with answers; a single answer is written as ten equal annotations.
        questions_path: Path of the questions file.
        annotations_path: Path of the annotations file.
        data_type: Field `data_type`: origin of the images, "mscoco" in VQA v2.
        subset: Field `data_subtype`, such as "train2014".
    """
    header = {"data_type": data_type, "data_subtype": subset, "license": {}, "info": {}}
    question_records = [{**_ids(question), "question": question.text} for question in questions]
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
    _write(questions_path, {**header, "task_type": "Open-Ended", "questions": question_records})
    _write(annotations_path, {**header, "annotations": annotations})


def _ids(question: Question) -> dict[str, int]:
    return {"question_id": question.question_id, "image_id": question.image_id}


def _answers(answers: Sequence[str]) -> list[dict[str, Any]]:
    repeated = list(answers) * ANNOTATORS if len(answers) == 1 else answers
    return [
        {"answer": answer, "answer_confidence": "yes", "answer_id": number}
        for number, answer in enumerate(repeated, start=1)
    ]


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n")
