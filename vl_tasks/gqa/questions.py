"""Readers of GQA's questions and choices.

Questions file: {"<id>": {"imageId", "question", "answer", "isBalanced", "types", "groups",
"semantic", "entailed"}}; choices file: {"<id>": {"valid": [...], "plausible": [...]}}
(cs.stanford.edu/people/dorarad/gqa/download.html).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from clipnav.vl_tasks.data.documents import AnnotationError, read_table

HINT = (
    "download the file again from cs.stanford.edu/people/dorarad/gqa, or see docs/vl_tasks.md for "
    "its format"
)


class Types(msgspec.Struct, frozen=True, gc=False):
    """Types of a question; the structural type "query" marks open questions."""

    structural: str
    semantic: str
    detailed: str = ""


class ProgramStep(msgspec.Struct, frozen=True, gc=False):
    """Step of a question's functional programme."""

    operation: str
    argument: str


class Groups(msgspec.Struct, frozen=True, gc=False):
    """Groups of questions that share an answer distribution."""

    global_: str | None = msgspec.field(default=None, name="global")


class GqaQuestion(msgspec.Struct, frozen=True, gc=False):
    """GQA question."""

    question: str
    answer: str
    balanced: bool = msgspec.field(name="isBalanced")
    types: Types
    groups: Groups = Groups()
    semantic: tuple[ProgramStep, ...] = ()
    entailed: tuple[str, ...] = ()
    imageId: str = ""


class Choices(msgspec.Struct, frozen=True, gc=False):
    """Valid answers (in the question's scope) and plausible answers of a question."""

    valid: tuple[str, ...]
    plausible: tuple[str, ...]


class SecretQuestion(msgspec.Struct, frozen=True, gc=False):
    """GQA question whose answer is not public."""

    question: str
    imageId: str


def read_gqa_questions(path: Path) -> dict[str, GqaQuestion]:
    """Read a questions file."""
    return read_table(path, GqaQuestion, HINT)


def read_secret_questions(path: Path) -> dict[str, SecretQuestion]:
    """Read a questions file without its answers; errors are those of `read_gqa_questions`."""
    return read_table(path, SecretQuestion, HINT)


def read_gqa_choices(path: Path) -> dict[str, Choices]:
    """Read a choices file; errors are those of `read_gqa_questions`."""
    return read_table(path, Choices, HINT)


class ImageQuestion(NamedTuple):
    """Question about an image, as networks require it.

    Attributes:
        question_id: Id of the question.
        text: Text of the question.
        image_id: Name of the image file without suffix.
        answer: Answer; "" if it is not public.
    """

    question_id: str
    text: str
    image_id: str
    answer: str


def image_questions(
    path: Path, questions: Mapping[str, GqaQuestion] | Mapping[str, SecretQuestion]
) -> list[ImageQuestion]:
    """Return the questions of a file for a network."""
    if not questions:
        raise AnnotationError(path, "", "it contains no question", HINT)
    for key, one in questions.items():
        for name, text in (("question", one.question), ("imageId", one.imageId)):
            if not text.strip():
                raise AnnotationError(path, f"question {key}", f"its {name} is blank", HINT)
    return [
        ImageQuestion(key, one.question, one.imageId, getattr(one, "answer", ""))
        for key, one in questions.items()
    ]
