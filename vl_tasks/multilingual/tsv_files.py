"""Reader of the TSV files of multilingual-vqa (gchhablani/multilingual-vqa, 0f43030e).

The columns are image_file, question, answer_label and, if present, question_type and lang. The
label is an answer, or its number in the answer vocabulary.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from storage.errors import UserError
from storage.records import RecordError
from vl_tasks.data.tables import read_rows
from vl_tasks.house_tasks.languages.lexicons import ENGLISH
from vl_tasks.multilingual.questions import LanguageQuestion
from vl_tasks.vqa.answers import check_answer, normalised

REMEDY = "see docs/multilingual_vqa.md for its columns"
_REQUIRED = ("image_file", "question", "answer_label")
_OPTIONAL = ("question_type", "lang")
_ANNOTATORS = 10
_PER_IMAGE = 100_000  # question ids per image


def read_tsv(
    path: Path, answers: Sequence[str] | None, images: dict[str, int]
) -> list[LanguageQuestion]:
    """Read a split.

    The k-th question about an image has the same id in all languages. Without `answers`, labels are
    normalised like the vocabulary that is built from them.

    Args:
        path: The file.
        answers: Answers by number, if the labels are numbers; None without a given vocabulary.
        images: Ids of the images by name; new images are added.

    Raises:
        OSError: The file cannot be opened.
        UserError: A column is missing or occurs twice, a field is blank, or a label is not the
            number of an answer; names file and record.
    """
    rows = _read_rows(path)
    are_numbers = all(row["answer_label"].strip().isdecimal() for row in rows)
    if are_numbers and answers is None:
        raise UserError(
            f"{path}: its answer_label contains numbers of answers; set --answers to the file with "
            "the list of these answers"
        )
    counts: Counter[tuple[str, str]] = Counter()
    questions = []
    for number, row in enumerate(rows):
        name, label = row["image_file"].strip(), row["answer_label"].strip()
        language = (row.get("lang") or ENGLISH).strip()
        if are_numbers and answers is not None:
            if int(label) >= len(answers):
                problem = f"answer_label {label} is not the number of one of {len(answers)} answers"
                raise RecordError(path, number, problem, "check the file of --answers")
            label = answers[int(label)]
        elif answers is None:
            check_answer(label, path, number)
            label = normalised(label)
        image_id = images.setdefault(name, len(images))
        questions.append(
            LanguageQuestion(
                question_id=image_id * _PER_IMAGE + counts[language, name],
                image_id=image_id,
                text=row["question"].strip(),
                answers=(label,) * _ANNOTATORS,
                question_type=(row.get("question_type") or "").strip(),
                answer_type=_answer_type(label),
                majority_answer=label,
                language=language,
            )
        )
        counts[language, name] += 1
    return questions


def _read_rows(path: Path) -> list[dict[str, str]]:
    rows = read_rows(path, _REQUIRED, REMEDY, _OPTIONAL, delimiter="\t")
    if not rows:
        raise UserError(f"{path}: it contains no question; {REMEDY}")
    for number, row in enumerate(rows):
        for name in _REQUIRED:
            if not row[name].strip():
                raise RecordError(path, number, f"its {name} is blank", REMEDY)
    return rows


def _answer_type(answer: str) -> str:
    if answer in ("yes", "no"):
        return "yes/no"
    return "number" if answer.isdigit() else "other"
