"""Submission files of VQA: [{"question_id": 1, "answer": "yes"}, ...].

reliable_vqa's have a "confidence" besides.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from storage import write_text
from storage.records import read_records
from vl_tasks.data.questions import Question

REMEDY = 'a submission is a JSON list of {"question_id": number, "answer": text}'
_NAMED = 5  # how many of the concerned a message names


class _Record(msgspec.Struct, gc=False):
    question_id: int
    answer: str


class _SureRecord(_Record, gc=False):
    confidence: float


Record = TypeVar("Record", bound=_Record)


def read_submission(path: Path, questions: Iterable[Question]) -> dict[int, str]:
    """Read the answers to all questions of a split.

    Returns:
        Answers by question id, in the order of the questions.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged, answers a question twice or one that the split does not have, or
            leaves one out; the message names them.
    """
    return {key: one.answer for key, one in _read(path, questions, _Record).items()}


def read_sure_submission(path: Path, questions: Iterable[Question]) -> dict[int, tuple[str, float]]:
    """The same with the confidence of each answer, which `vqa.reliability` looks at."""
    found = _read(path, questions, _SureRecord)
    return {key: (one.answer, one.confidence) for key, one in found.items()}


def write_submission(path: Path, answers: Mapping[int, str]) -> None:
    """Write answers by question id, whole or not at all."""
    rows = [{"question_id": one, "answer": answer} for one, answer in answers.items()]
    write_text(path, json.dumps(rows, ensure_ascii=False))


def _read(path: Path, questions: Iterable[Question], kind: type[Record]) -> dict[int, Record]:
    found: dict[int, Record] = {}
    twice: list[int] = []
    for record in read_records(path, kind, REMEDY):
        if record.question_id in found:
            twice.append(record.question_id)
        found[record.question_id] = record
    expected = [question.question_id for question in questions]
    known = set(expected)
    faults = {
        "answered twice": twice,
        "that the split does not have": [one for one in found if one not in known],
        "without an answer": [one for one in expected if one not in found],
    }
    named = [f"{len(ids)} {_listed(ids)} {what}" for what, ids in faults.items() if ids]
    if named:
        raise ValueError(f"{path}: questions {'; '.join(named)}")
    return {one: found[one] for one in expected}


def _listed(ids: Collection[int]) -> str:
    named = ", ".join(str(one) for one in list(ids)[:_NAMED])
    return f"({named}{', ...' if len(ids) > _NAMED else ''})"
