"""Writing questions and answers in the form of VQA v2."""

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
    """Write a questions file and an annotations file, each whole or not at all.

    Args:
        questions: With answers; one answer stands for ten annotators who agree.
        questions_path: Gets the questions.
        annotations_path: Gets the answers.
        data_type: What the pictures are: "mscoco" in VQA v2.
        subset: "train2014" or the like.
    """
    about = {"data_type": data_type, "data_subtype": subset, "license": {}, "info": {}}
    asked = [{**_named(one), "question": one.text} for one in questions]
    answered = [
        {
            **_named(one),
            "question_type": one.question_type,
            "answer_type": one.answer_type,
            "multiple_choice_answer": one.majority_answer,
            "answers": _answers(one.answers),
        }
        for one in questions
    ]
    _write(questions_path, {**about, "task_type": "Open-Ended", "questions": asked})
    _write(annotations_path, {**about, "annotations": answered})


def _named(question: Question) -> dict[str, int]:
    return {"question_id": question.question_id, "image_id": question.image_id}


def _answers(answers: Sequence[str]) -> list[dict[str, Any]]:
    said = list(answers) * ANNOTATORS if len(answers) == 1 else answers
    return [
        {"answer": answer, "answer_confidence": "yes", "answer_id": number}
        for number, answer in enumerate(said, start=1)
    ]


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, separators=(",", ":"), ensure_ascii=False) + "\n")
