"""Questions in several languages, with ids that the languages share.

They are in folders languages/LANGUAGE, or in TSV files of multilingual-vqa
(gchhablani/multilingual-vqa, 0f43030e) with the columns image_file, question, answer_label and, if
present, question_type and lang. The label is an answer, or its number in the answer vocabulary.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError
from clipnav.vl_tasks.classification.answers import check_answer, normalised
from clipnav.vl_tasks.data.questions import HINT as QUESTIONS_HINT
from clipnav.vl_tasks.data.questions import Question, read_questions
from clipnav.vl_tasks.data.tables import read_rows
from clipnav.vl_tasks.data_folders import find_split_file, language_folder, split_file
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH

_ANNOTATIONS = "_annotations.json"
_HINT = "see docs/multilingual_vqa.md for its columns"
_REQUIRED = ("image_file", "question", "answer_label")
_OPTIONAL = ("question_type", "lang")
_ANNOTATORS = 10
_PER_IMAGE = 100_000  # question ids per image
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LanguageQuestion(Question):
    """A question about an image, in one of several languages.

    Questions with the same id have the same meaning and the same answers in all languages.

    Attributes:
        language: Code of the language.
    """

    language: str = "en"


def in_language(questions: Iterable[Question], language: str) -> list[LanguageQuestion]:
    """Return questions with their language."""
    names = [field.name for field in fields(Question)]
    return [
        LanguageQuestion(**{name: getattr(one, name) for name in names}, language=language)
        for one in questions
    ]


def read_language_questions(
    folder: Path, split: str, languages: Sequence[str], secret: bool = False
) -> list[LanguageQuestion]:
    """Read the questions of a split in several languages, one language after the other.

    The questions of a language besides English are in languages/LANGUAGE; their annotations are
    those of the English questions, unless this folder has its own.
    """
    questions: list[LanguageQuestion] = []
    for language in languages:
        own = language_folder(folder, language)
        hint = None
        if own != folder:
            hint = (
                "it requires the ids of the English questions: write it with clipnav "
                f"translate-questions --data {folder} --language {language} --splits {split}, or "
                "with clipnav make-house-tasks"
            )
        path = split_file(own, split, "_questions.json", hint=hint)
        annotations = None
        if not secret:
            annotations = find_split_file(own, split, _ANNOTATIONS)
            annotations = annotations or split_file(folder, split, _ANNOTATIONS)
        questions += in_language(
            read_questions(path, annotations, hint or QUESTIONS_HINT), language
        )
    return questions


def by_language(questions: Iterable[LanguageQuestion]) -> dict[str, list[LanguageQuestion]]:
    """Group questions by language, in the order of their first questions."""
    groups: dict[str, list[LanguageQuestion]] = {}
    for question in questions:
        groups.setdefault(question.language, []).append(question)
    return groups


def read_tsv(
    path: Path, answers: Sequence[str] | None, images: dict[str, int]
) -> list[LanguageQuestion]:
    """Read a split.

    The file does not name its questions. The k-th question about an image has the same id in all
    languages whose questions about this image have the same answers in the same order. In other
    languages, where a row is missing or the order differs, the questions about this image have
    other ids; their number is logged. Without `answers`, labels are normalised like the vocabulary
    that is built from them. With it, the majority answer is the label unchanged, as the published
    code looks it up, and a label that the vocabulary lacks is normalised for the accuracy, which
    compares equal annotations literally.
    """
    rows = read_rows(path, _REQUIRED, _HINT, _OPTIONAL, delimiter="\t")
    if not rows:
        raise UserError(f"{path}: it contains no question; {_HINT}")
    for number, row in enumerate(rows):
        for name in _REQUIRED:
            if not row[name].strip():
                raise RecordError(path, number, f"its {name} is blank", _HINT)
    are_numbers = all(row["answer_label"].strip().isdecimal() for row in rows)
    if are_numbers and answers is None:
        raise UserError(
            f"{path}: its answer_label contains numbers of answers; set --answers to the file with "
            "the list of these answers"
        )
    names = [row["image_file"].strip() for row in rows]
    languages = [(row.get("lang") or "").strip() or ENGLISH for row in rows]
    labels = [_label(path, number, row, answers, are_numbers) for number, row in enumerate(rows)]
    numbers = _question_numbers(path, names, languages, labels)
    known = frozenset(labels if answers is None else answers)
    for name in names:
        images.setdefault(name, len(images))
    return [
        LanguageQuestion(
            question_id=images[name] * _PER_IMAGE + number,
            image_id=images[name],
            text=row["question"].strip(),
            answers=(label if label in known else normalised(label),) * _ANNOTATORS,
            question_type=(row.get("question_type") or "").strip(),
            answer_type="yes/no"
            if label in ("yes", "no")
            else "number"
            if label.isdigit()
            else "other",
            majority_answer=label,
            language=language,
        )
        for row, name, language, label, number in zip(
            rows, names, languages, labels, numbers, strict=True
        )
    ]


def _label(
    path: Path, number: int, row: dict[str, str], answers: Sequence[str] | None, are_numbers: bool
) -> str:
    """Return the answer of a row."""
    label = row["answer_label"].strip()
    if answers is None:
        check_answer(label, path, number)
        return normalised(label)
    if not are_numbers:
        return label
    if int(label) >= len(answers):
        problem = f"answer_label {label} is not the number of one of {len(answers)} answers"
        raise RecordError(path, number, problem, "check the file of --answers")
    return answers[int(label)]


def _question_numbers(
    path: Path, names: Sequence[str], languages: Sequence[str], labels: Sequence[str]
) -> list[int]:
    """Return the number of each row's question among those about its image; see `read_tsv`."""
    given: dict[str, dict[str, list[str]]] = {}  # answers by image and language
    places = []
    for name, language, label in zip(names, languages, labels, strict=True):
        own = given.setdefault(name, {}).setdefault(language, [])
        places.append(len(own))
        own.append(label)
    first: dict[tuple[str, str], int] = {}  # first number by image and language
    different = []
    for name, by_language in given.items():
        starts: dict[tuple[str, ...], int] = {}  # by the answers
        for language, own in by_language.items():
            first[name, language] = starts.setdefault(tuple(own), sum(map(len, starts)))
        if len(starts) > 1:
            different.append(name)
    if different:
        _LOG.warning(
            "%s: the answers about %d of %d images, such as %s, differ between languages, which "
            "are not compared in the questions about these images",
            *(path, len(different), len(given), different[0]),
        )
    return [
        first[name, language] + place
        for name, language, place in zip(names, languages, places, strict=True)
    ]
