"""Questions in several languages, with ids that the languages share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from clipnav.vl_tasks.data.questions import REMEDY, Question, read_questions
from clipnav.vl_tasks.data_folders import find_split_file, language_folder, split_file

_ANNOTATIONS = "_annotations.json"


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
        remedy = None if own == folder else _remedy(folder, split, language)
        path = split_file(own, split, "_questions.json", remedy=remedy)
        annotations = None
        if not secret:
            annotations = find_split_file(own, split, _ANNOTATIONS)
            annotations = annotations or split_file(folder, split, _ANNOTATIONS)
        questions += in_language(read_questions(path, annotations, remedy or REMEDY), language)
    return questions


def by_language(questions: Iterable[LanguageQuestion]) -> dict[str, list[LanguageQuestion]]:
    """Group questions by language, in the order of their first questions."""
    groups: dict[str, list[LanguageQuestion]] = {}
    for question in questions:
        groups.setdefault(question.language, []).append(question)
    return groups


def _remedy(folder: Path, split: str, language: str) -> str:
    return (
        "it requires the ids of the English questions: write it with clipnav translate-questions "
        f"--data {folder} --language {language} --splits {split}, or with clipnav make-house-tasks"
    )
