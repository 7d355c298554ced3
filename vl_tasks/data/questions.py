"""VQA v2: questions and their ten annotated answers.

Questions file: {"questions": [{"question_id", "image_id", "question"}]}. Annotations file:
{"annotations": [{"question_id", "image_id", "question_type", "answer_type",
"multiple_choice_answer", "answers": [{"answer"}, ...]}]} (visualqa.org/download.html).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from clipnav.storage.json_files import write_json
from clipnav.vl_tasks.data.documents import AnnotationError, read_document
from clipnav.vl_tasks.data.images import find_numbered

HINT = (
    "download the file again from visualqa.org/download.html, or see docs/vl_tasks.md for its "
    "format"
)

_REPEAT = "repeat the answer, four times for an accuracy of 1 (VQA v2 has ten annotators)"
ANNOTATORS = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an image.

    Attributes:
        question_id: Id that is unique in the split.
        image_id: Id of the image.
        text: Text of the question.
        answers: Annotated answers, unchanged; ten in VQA v2, none if they are not public.
        question_type: First words of the question, such as "how many"; "" if unknown.
        answer_type: "yes/no", "number" or "other"; "" if unknown.
        majority_answer: Most frequent answer (`multiple_choice_answer`); "" if unknown.
    """

    question_id: int
    image_id: int
    text: str
    answers: tuple[str, ...] = ()
    question_type: str = ""
    answer_type: str = ""
    majority_answer: str = ""


class _QuestionRecord(msgspec.Struct, gc=False):
    question_id: int
    image_id: int
    question: str


class _QuestionFile(msgspec.Struct):
    questions: list[_QuestionRecord]


class _Answer(msgspec.Struct, gc=False):
    answer: str


class _AnnotationRecord(msgspec.Struct, gc=False):
    question_id: int
    image_id: int
    answers: list[_Answer]
    question_type: str = ""
    answer_type: str = ""
    multiple_choice_answer: str = ""


class _AnnotationFile(msgspec.Struct):
    annotations: list[_AnnotationRecord]


def read_questions(
    questions: Path, annotations: Path | None = None, hint: str = HINT
) -> list[Question]:
    """Read a split in the order of its questions file."""
    records = read_document(questions, _QuestionFile, hint).questions
    if not records:
        raise AnnotationError(questions, "", "it contains no question", hint)
    _check_unique(questions, [record.question_id for record in records], hint)
    for record in records:
        if not record.question.strip():
            raise AnnotationError(questions, _name(record.question_id), "it is blank", hint)
    if annotations is None:
        return [Question(r.question_id, r.image_id, r.question) for r in records]
    annotation_of = _read_annotations(annotations)
    foreign = annotation_of.keys() - {record.question_id for record in records}
    if foreign:
        problem = f"the question is missing, but {annotations} has an annotation of it"
        raise AnnotationError(questions, _name(min(foreign)), problem, hint)
    return [_joined(record, annotation_of, annotations, hint) for record in records]


def with_distinct_ids(parts: Iterable[Sequence[Question]]) -> list[list[Question]]:
    """Give new ids to the questions of a split whose ids occur in an earlier split.

    Files may use the same ids; those of a TSV file only count the questions about an image.
    """
    seen: set[int] = set()
    distinct = []
    for questions in parts:
        ids = {one.question_id for one in questions}
        shift = 0 if seen.isdisjoint(ids) else max(seen) + 1 - min(ids)
        seen |= {number + shift for number in ids}
        distinct.append([replace(one, question_id=one.question_id + shift) for one in questions])
    return distinct


def question_images(questions: Iterable[Question], folder: Path) -> dict[int, Path]:
    """Find image files by image id; see `clipnav.vl_tasks.data.images.find_numbered`."""
    return find_numbered(folder, wanted_images(questions))


def wanted_images(questions: Iterable[Question]) -> dict[int, str]:
    """Return the image ids of questions, each with the name of a question, for messages."""
    return {question.image_id: _name(question.question_id) for question in questions}


def _read_annotations(path: Path) -> dict[int, _AnnotationRecord]:
    records = read_document(path, _AnnotationFile, HINT).annotations
    _check_unique(path, [record.question_id for record in records], HINT)
    for record in records:
        if not record.answers:
            raise AnnotationError(path, _name(record.question_id), "it has no answer", HINT)
        if len(record.answers) == 1:
            # The accuracy and the soft scores leave out each annotator in turn.
            problem = "it has one annotated answer, with which the accuracy of any answer is 0"
            raise AnnotationError(path, _name(record.question_id), problem, _REPEAT)
    return {record.question_id: record for record in records}


def _joined(
    record: _QuestionRecord, annotation_of: dict[int, _AnnotationRecord], path: Path, hint: str
) -> Question:
    annotation = annotation_of.get(record.question_id)
    name = _name(record.question_id)
    if annotation is None:
        raise AnnotationError(path, name, "the question has no annotation", hint)
    if annotation.image_id != record.image_id:
        problem = (
            f"its image is {annotation.image_id}, but that of the question is {record.image_id}"
        )
        raise AnnotationError(path, name, problem, hint)
    return Question(
        record.question_id,
        record.image_id,
        record.question,
        tuple(answer.answer for answer in annotation.answers),
        annotation.question_type,
        annotation.answer_type,
        annotation.multiple_choice_answer,
    )


def _check_unique(path: Path, ids: Sequence[int], hint: str) -> None:
    seen: set[int] = set()
    for question_id in ids:
        if question_id in seen:
            raise AnnotationError(path, _name(question_id), "it occurs twice", hint)
        seen.add(question_id)


def _name(question_id: int) -> str:
    return f"question_id {question_id}"


def write_questions(
    questions: Sequence[Question],
    questions_path: Path,
    annotations_path: Path,
    data_type: str,
    subset: str,
) -> None:
    """Write a questions file and an annotations file, each atomically."""
    annotations = [
        {
            **_ids(question),
            "question_type": question.question_type,
            "answer_type": question.answer_type,
            "multiple_choice_answer": question.majority_answer,
            "answers": [
                {"answer": answer, "answer_confidence": "yes", "answer_id": number}
                for number, answer in enumerate(
                    question.answers * (ANNOTATORS if len(question.answers) == 1 else 1), start=1
                )
            ],
        }
        for question in questions
    ]
    write_question_file(questions, questions_path, data_type, subset)
    write_json(annotations_path, {**_header(data_type, subset), "annotations": annotations})


def write_question_file(
    questions: Sequence[Question], path: Path, data_type: str, subset: str
) -> None:
    """Write a questions file atomically, without annotations; see `write_questions`."""
    records = [{**_ids(question), "question": question.text} for question in questions]
    header = _header(data_type, subset)
    write_json(path, {**header, "task_type": "Open-Ended", "questions": records})


def _header(data_type: str, subset: str) -> dict[str, Any]:
    return {"data_type": data_type, "data_subtype": subset, "license": {}, "info": {}}


def _ids(question: Question) -> dict[str, int]:
    return {"question_id": question.question_id, "image_id": question.image_id}
