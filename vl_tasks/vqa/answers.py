"""Answers as classes: the vocabulary of frequent ones and soft scores as targets."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from storage import write_text
from storage.json_files import parse_json, read_bytes
from storage.messages import shortened
from vl_tasks.data.questions import Question
from vl_tasks.vqa.accuracy import agreement
from vl_tasks.vqa.normalising import normalise

MIN_COUNT = 9  # ViLT `write_vqa.py`: 3,129 answers of VQA v2's train and val
Rule = Literal["leave-one-out", "steps"]
# ViLT, openvqa, LXMERT: score of an answer that so many of ten annotators gave.
_REMEDY = "name a file in one of the forms that docs/vl_tasks.md lists"
_STEPS = (0.0, 0.3, 0.6, 0.9, 1.0)


def normalised(answer: str) -> str:
    """An answer as the vocabularies of ViLT and openvqa have it.

    That is the evaluator's V2, also where all annotators agree (`normalize_word`, `prep_ans`).
    """
    return normalise(answer, "V2")


def soft_scores(answers: Sequence[str], rule: Rule = "leave-one-out") -> dict[str, float]:
    """Score 0..1 of each normalised answer that annotators gave.

    The rules are the same for ten annotators: "leave-one-out" is mmf's (the accuracy that the
    answer would get), "steps" the table 0, .3, .6, .9, 1 of ViLT, openvqa and LXMERT.
    """
    counts = Counter(normalised(answer) for answer in answers)
    if rule == "steps":
        return {answer: _STEPS[min(n, len(_STEPS) - 1)] for answer, n in counts.items()}
    return {answer: agreement(n, len(answers)) for answer, n in counts.items()}


class AnswerVocabulary:
    """Answers that a classifier chooses from.

    Attributes:
        answers: In the order of their classes.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        if not answers or len(set(answers)) != len(answers):
            raise ValueError("a vocabulary of answers has one or more distinct answers")
        self.answers = tuple(answers)
        self._classes = {answer: number for number, answer in enumerate(self.answers)}

    @classmethod
    def build(cls, questions: Iterable[Question], min_count: int = MIN_COUNT) -> "AnswerVocabulary":
        """Collect the normalised majority answers that occur often enough, most frequent first.

        Raises:
            ValueError: None does; names the count of the most frequent.
        """
        counts = Counter(
            normalised(question.majority_answer or _commonest(question)) for question in questions
        )
        frequent = sorted((-n, answer) for answer, n in counts.items() if n >= min_count)
        if not frequent:
            most = max(counts.values(), default=0)
            raise ValueError(
                f"no answer occurs {min_count} times, the commonest {most} times; "
                "lower min_count, or look whether the questions carry answers"
            )
        return cls([answer for _, answer in frequent])

    @classmethod
    def load(cls, path: str | Path) -> "AnswerVocabulary":
        """Read a vocabulary: of `save`, or of openvqa, ViLT, LXMERT or mmf.

        Those are JSON, a list or a dictionary of classes (`trainval_ans2label.json`; openvqa's
        `answer_dict.json` is a list of two such), or text with an answer a line
        (`answers_vqa.txt`).

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is none of these.
        """
        path = Path(path)
        raw = read_bytes(path, _REMEDY)
        content = parse_json(raw, str(path), _REMEDY) if path.suffix == ".json" else None
        try:
            return cls(raw.decode().splitlines() if content is None else _listed(content))
        except (ValueError, TypeError, KeyError) as error:
            problem = shortened(str(error), 200)
            raise ValueError(
                f"{path}: not a vocabulary of answers ({problem}); {_REMEDY}"
            ) from error

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as a JSON list."""
        write_text(path, json.dumps(self.answers, ensure_ascii=False))

    def __len__(self) -> int:
        return len(self.answers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnswerVocabulary) and self.answers == other.answers

    def __hash__(self) -> int:
        return hash(self.answers)

    def scores(self, question: Question) -> dict[int, float]:
        """Soft scores by class; answers that are not in the vocabulary are left out."""
        scores = soft_scores(question.answers)
        return {self._classes[a]: s for a, s in scores.items() if a in self._classes}


def _commonest(question: Question) -> str:
    """The answer that most annotators gave, of several the first in the alphabet."""
    counts = Counter(question.answers)
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def _listed(content: object) -> list[str]:
    """Answers in the order of their classes from one of the known JSON forms."""
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = content[0]
    if isinstance(content, dict):
        classes = {int(number): answer for answer, number in content.items()}
        if sorted(classes) != list(range(len(content))):
            raise ValueError("the classes are not numbered from 0 without gaps")
        content = [classes[number] for number in range(len(classes))]
    if not isinstance(content, list) or not all(isinstance(one, str) for one in content):
        raise ValueError("expected a list of answers, or a dictionary from answers to classes")
    return content
