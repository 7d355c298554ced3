"""Answers of pre-training as classes, in the form that LXMERT converts them to."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import read_json

if TYPE_CHECKING:
    from clipnav.vl_tasks.clip_vil_p.data.pair_index import PairIndex

ANSWERS = "answers.json"  # within the folder of a run
_HINT = "give LXMERT's all_ans.json, or a JSON list of answers"
_TRAIN_AGAIN = "train the run again"
_ARTICLES = ("a ", "an ", "the ")
# `ANS_CONVERT` of LXMERT's qa_answer_table.py; articles are removed before.
_CONVERTED = {
    "grey": "gray",
    **{
        word: str(number)
        for number, word in enumerate(
            "one two three four five six seven eight nine ten".split(), start=1
        )
    },
}


def convert_answer(answer: str) -> str:
    """Convert an answer as LXMERT does (`AnswerTable.convert_ans`): "The Dog." becomes "dog"."""
    answer = answer.lower()
    if answer.endswith("."):
        answer = answer[:-1].strip()
    for article in _ARTICLES:
        if answer.startswith(article):
            answer = answer[len(article) :].strip()
    return _CONVERTED.get(answer, answer)


class AnswerClasses:
    """Answers that the pre-training classifies.

    Attributes:
        answers: Converted answers in the order of their classes.
        classes: Class of each answer.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = tuple(dict.fromkeys(answers))
        self.classes = {answer: number for number, answer in enumerate(self.answers)}

    @classmethod
    def of_pairs(cls, pairs: "PairIndex", min_count: int) -> "AnswerClasses":
        """Collect the answers that are the best one of `min_count` pairs, by frequency."""
        counted = zip(pairs.answer_counts, pairs.answers, strict=True)
        frequent = sorted((-count, answer) for count, answer in counted if count >= min_count)
        if not frequent:
            most = max(pairs.answer_counts, default=0)
            raise UserError(
                f"no answer of the training data occurs {min_count} times, the most frequent one "
                f"{most} times; lower --min-count, or set --no-answering"
            )
        return cls([answer for _, answer in frequent])

    @classmethod
    def load(cls, path: Path) -> "AnswerClasses":
        """Read LXMERT's all_ans.json, or a JSON list of answers."""
        content: Any = read_json(path, _HINT)
        entries = content if isinstance(content, list) else []
        answers: list[str] = []
        for number, entry in enumerate(entries):
            answer = entry.get("ans") if isinstance(entry, dict) else entry
            if not isinstance(answer, str):
                raise UserError(f"{path}: record {number} is not an answer; {_HINT}")
            answers.append(answer)
        if not answers:
            raise UserError(f"{path}: not a list of answers; {_HINT}")
        return cls(_without_duplicates(answers, path, _HINT))

    @classmethod
    def of_run(cls, run: Path) -> "AnswerClasses":
        """Read the answers of a run; there are none if it was trained without answering."""
        answers = read_json(run / ANSWERS, _TRAIN_AGAIN, list[str])
        return cls(_without_duplicates(answers, run / ANSWERS, _TRAIN_AGAIN))

    def save(self, run: Path) -> None:
        """Write the answers into the folder of a run."""
        write_text(run / ANSWERS, json.dumps(self.answers, ensure_ascii=False))

    def __len__(self) -> int:
        return len(self.answers)

    def of_index(self, pairs: "PairIndex") -> np.ndarray:
        """Return the class of each answer of an index, -1 if it has none: (answers,) int64."""
        return np.array([self.classes.get(answer, -1) for answer in pairs.answers], np.int64)


def _without_duplicates(answers: list[str], path: Path, hint: str) -> list[str]:
    """Return answers, which must differ: without one of them, all later classes would change."""
    for answer, count in Counter(answers).items():
        if count > 1:
            raise UserError(f"{path}: contains the answer {truncate(answer)!r} twice; {hint}")
    return answers
