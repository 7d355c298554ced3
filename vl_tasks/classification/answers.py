"""Answer vocabulary (frequent answers as classes) and soft scores as training targets."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import parse_json, read_bytes
from clipnav.storage.records import RecordError
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.text.normalising import normalise

_MIN_COUNT = 9  # ViLT `write_vqa.py`: 3,129 answers of VQA v2's train and val
# Class of mmf's vocabularies for all other answers, which is never correct.
UNKNOWN = "<unk>"
_ENOUGH = 3  # matching annotators that give accuracy 1
AnyQuestion = TypeVar("AnyQuestion", bound=Question)

_HINT = "choose a file in one of the formats that docs/vl_tasks.md lists"


def normalised(answer: str) -> str:
    """Normalise an answer as the vocabularies of ViLT and openvqa do.

    This is variant V2 of the evaluator, also if all annotators agree (`normalize_word`,
    `prep_ans`).
    """
    return normalise(answer, "V2")


def check_answer(answer: str, path: Path, record: int) -> None:
    """Refuse an answer that normalisation makes empty, such as "A", which is an article."""
    if not normalised(answer):
        problem = (
            f"its answer {truncate(answer)!r} is only an article or punctuation, which VQA's "
            "normalisation removes"
        )
        raise RecordError(path, record, problem, "write another word")


def normalised_question(question: AnyQuestion) -> AnyQuestion:
    """Return a question with normalised answers.

    The accuracy compares answers literally if all annotations are equal. The models answer "yes",
    which would be wrong if the only answer of a file that is not VQA v2's is written "Yes".
    """
    return replace(
        question,
        answers=tuple(normalised(answer) for answer in question.answers),
        majority_answer=normalised(question.majority_answer),
    )


def agreement(matching: int, annotators: int) -> float:
    """Return the accuracy 0..1 of an answer that `matching` of the annotators gave.

    Leaving out one of the matching annotators leaves `matching` - 1 matches; leaving out another
    annotator leaves `matching`.
    """
    others = matching * min(_ENOUGH, matching - 1) if matching else 0
    others += (annotators - matching) * min(_ENOUGH, matching)
    return others / (_ENOUGH * annotators)


def soft_scores(answers: Sequence[str]) -> dict[str, float]:
    """Return the soft score 0..1 of each normalised annotated answer, its accuracy (mmf).

    For ten annotators these are the scores 0.3, 0.6, 0.9 and 1 of ViLT, openvqa and LXMERT.
    """
    counts = Counter(normalised(answer) for answer in answers)
    return {answer: agreement(n, len(answers)) for answer, n in counts.items()}


class AnswerVocabulary:
    """Answers that a classifier chooses from.

    Attributes:
        answers: Answers in the order of their classes.
        classes: Class of each answer.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        if not answers or len(set(answers)) != len(answers):
            raise UserError("an answer vocabulary requires at least one answer and no duplicates")
        self.answers = tuple(answers)
        self.classes = {answer: number for number, answer in enumerate(self.answers)}

    @cached_property
    def normalised_classes(self) -> dict[str, int]:
        """Class by answer, with answers that are not normalised also under their normalised form.

        Annotated answers are normalised, but a file can contain "Red" or "one". If several answers
        have the same normalised form, it stands for the one in this form, or else for the first.
        """
        classes: dict[str, int] = {}
        for answer, number in self.classes.items():
            form = normalised(answer)
            if form and answer != UNKNOWN:
                classes.setdefault(form, number)
        return classes | self.classes

    @classmethod
    def build(
        cls, questions: Iterable[Question], min_count: int = _MIN_COUNT
    ) -> "AnswerVocabulary":
        """Collect the normalised majority answers with `min_count` occurrences, by frequency."""
        return cls.of_counts(Counter(map(_majority, questions)), min_count)

    @classmethod
    def build_of_all(cls, questions: Iterable[Question], min_count: int) -> "AnswerVocabulary":
        """Collect all normalised answers with `min_count` questions, such as "sofa" and "couch"."""
        given = ({*map(normalised, one.answers)} for one in questions)
        return cls.of_counts(Counter(chain.from_iterable(given)), min_count)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], min_count: int) -> "AnswerVocabulary":
        """Collect the answers with `min_count` occurrences, by frequency, unchanged."""
        frequent = sorted((-n, answer) for answer, n in counts.items() if n >= min_count)
        if not frequent:
            most = max(counts.values(), default=0)
            raise UserError(
                f"no answer occurs {min_count} times, the most frequent answer {most} times; "
                "lower --min-count, or check that the questions have answers"
            )
        return cls([answer for _, answer in frequent])

    @classmethod
    def load(cls, path: str | Path) -> "AnswerVocabulary":
        """Read an answer vocabulary written by `save`, openvqa, ViLT, LXMERT or mmf.

        Formats: a JSON list, a JSON dictionary from answers to classes
        (`trainval_ans2label.json`; openvqa's `answer_dict.json` is a list of two dictionaries), or
        a text file with one answer per line (`answers_vqa.txt`).
        """
        path = Path(path)
        raw = read_bytes(path, _HINT)
        is_json = path.suffix == ".json"
        content = parse_json(raw, str(path), _HINT) if is_json else None
        try:
            # An editor may leave an empty line at the end, which is no answer.
            lines = [] if is_json else raw.decode("utf-8-sig").rstrip("\r\n").splitlines()
            return cls(_listed(content) if is_json else lines)
        except (ValueError, TypeError, KeyError) as error:
            problem = truncate(str(error), 200)
            raise UserError(f"{path}: not an answer vocabulary ({problem}); {_HINT}") from error

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
        """Return soft scores by class, without answers outside the vocabulary."""
        classes, scores = self.normalised_classes, soft_scores(question.answers)
        return {classes[answer]: score for answer, score in scores.items() if answer in classes}


def _majority(question: Question) -> str:
    """Return the normalised majority answer.

    In files without one, it is the most frequent answer after normalisation, which counts "Yes" and
    "yes" together; ties are broken alphabetically.
    """
    if question.majority_answer:
        return normalised(question.majority_answer)
    counts = Counter(normalised(answer) for answer in question.answers)
    return min(counts, key=lambda answer: (-counts[answer], answer), default="")


def _listed(content: object) -> list[str]:
    """Return the answers in the order of their classes from one of the known JSON formats."""
    if isinstance(content, list) and content and isinstance(content[0], dict):
        content = content[0]
    if isinstance(content, dict):
        classes = {number: answer for answer, number in content.items()}
        if not all(type(number) is int for number in classes):
            raise UserError("a class is not a whole number")
        if sorted(classes) != list(range(len(content))):
            raise UserError("the classes are not numbered from 0 without gaps")
        content = [classes[number] for number in range(len(classes))]
    if not isinstance(content, list) or not all(isinstance(answer, str) for answer in content):
        raise UserError("expected a list of answers, or a dictionary from answers to classes")
    return content
