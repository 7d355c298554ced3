"""VQA submission files: [{"question_id": 1, "answer": "yes"}, ...].

reliable_vqa's files also have the field "confidence".
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records
from clipnav.vl_tasks.data.questions import Question

HINT = 'a submission is a JSON list of {"question_id": number, "answer": text}'
_SURE_HINT = f'{HINT[:-1]}, "confidence": number}}'
_NAMED = 5  # ids that a message lists


class _Record(msgspec.Struct, gc=False):
    question_id: int
    answer: str


class _SureRecord(_Record, gc=False):
    confidence: float


Record = TypeVar("Record", bound=_Record)


def read_submission(path: Path, questions: Iterable[Question]) -> dict[int, str]:
    """Read the answers to all questions of a split."""
    records = _read(path, questions, _Record, HINT)
    return {key: record.answer for key, record in records.items()}


def read_sure_submission(path: Path, questions: Iterable[Question]) -> dict[int, tuple[str, float]]:
    """Read the answers with their confidence, the input of `reliability.scores.metrics`."""
    records = _read(path, questions, _SureRecord, _SURE_HINT)
    return {key: (record.answer, record.confidence) for key, record in records.items()}


def write_sure_submission(path: Path, answers: Mapping[int, tuple[str, float]]) -> None:
    """Write answers with their confidence by question id atomically."""
    rows = [
        {"question_id": key, "answer": answer, "confidence": confidence}
        for key, (answer, confidence) in answers.items()
    ]
    write_text(path, json.dumps(rows, ensure_ascii=False))


def _read(
    path: Path, questions: Iterable[Question], kind: type[Record], hint: str
) -> dict[int, Record]:
    records: dict[int, Record] = {}
    twice: list[int] = []
    for record in read_records(path, kind, hint):
        if record.question_id in records:
            twice.append(record.question_id)
        records[record.question_id] = record
    expected = [question.question_id for question in questions]
    known = set(expected)
    faults = {
        "answered twice": twice,
        "not in the split": [key for key in records if key not in known],
        "not answered": [key for key in expected if key not in records],
    }
    listed = [
        f"{fault}: {len(ids)} ({', '.join(map(str, ids[:_NAMED]))}"
        f"{', ...' if len(ids) > _NAMED else ''})"
        for fault, ids in faults.items()
        if ids
    ]
    if listed:
        raise UserError(
            f"{path}: questions {'; '.join(listed)}; answer each question of the split once"
        )
    return {key: records[key] for key in expected}
