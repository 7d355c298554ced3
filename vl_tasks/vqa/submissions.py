"""Submission files of VQA: [{"question_id": 1, "answer": "yes"}, ...]."""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import msgspec

from envs.episodes.records import read_records
from storage import write_text
from vl_tasks.vqa.data import Question

REMEDY = 'a submission is a JSON list of {"question_id": number, "answer": text}'
_NAMED = 5  # how many of the concerned a message names


class _Record(msgspec.Struct, gc=False):
    question_id: int
    answer: str


def read_submission(path: Path, questions: Iterable[Question]) -> dict[int, str]:
    """Read the answers to all questions of a split.

    Returns:
        Answers by question id, in the order of the questions.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged, answers a question twice or one that the split does not have, or
            leaves one out; the message names them.
    """
    answers: dict[int, str] = {}
    twice: list[int] = []
    for record in read_records(path, _Record, REMEDY):
        if record.question_id in answers:
            twice.append(record.question_id)
        answers[record.question_id] = record.answer
    expected = [question.question_id for question in questions]
    known = set(expected)
    faults = {
        "answered twice": twice,
        "that the split does not have": [one for one in answers if one not in known],
        "without an answer": [one for one in expected if one not in answers],
    }
    found = [f"{len(ids)} {_listed(ids)} {what}" for what, ids in faults.items() if ids]
    if found:
        raise ValueError(f"{path}: questions {'; '.join(found)}")
    return {one: answers[one] for one in expected}


def write_submission(path: Path, answers: Mapping[int, str]) -> None:
    """Write answers by question id, whole or not at all."""
    rows = [{"question_id": one, "answer": answer} for one, answer in answers.items()]
    write_text(path, json.dumps(rows, ensure_ascii=False))


def _listed(ids: Collection[int]) -> str:
    named = ", ".join(str(one) for one in list(ids)[:_NAMED])
    return f"({named}{', ...' if len(ids) > _NAMED else ''})"
