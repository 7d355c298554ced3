"""Questions of the user about the user's photos, from `questions.csv` or `questions.json`.

The CSV file has the columns image, question and answer; the JSON file is a list of such records.
`image` is a path relative to the folder `images` or to the folder of the file. Several correct
answers are separated by "|".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError, read_records
from clipnav.vl_tasks.data.images import first_file
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.data.tables import read_rows

NAMES = ("questions.csv", "questions.json")
HINT = "each question requires image, question and answer, see docs/vl_tasks.md"
_COLUMNS = ("image", "question", "answer")
_SEPARATOR = "|"
_ANNOTATORS = 4  # number of equal annotations that give an answer the full VQA score of 1


class _Record(msgspec.Struct, gc=False):
    image: str
    question: str
    answer: str


@dataclass(frozen=True)
class OwnQuestions:
    """Questions of the user.

    Attributes:
        path: The file.
        questions: Questions with answers; image ids are indices into `photos`.
        photos: Relative paths of the photos.
    """

    path: Path
    questions: list[Question]
    photos: list[str]

    def stems(self) -> dict[str, tuple[int, str]]:
        """Return image id and relative path of each photo by its name without suffix."""
        stems: dict[str, tuple[int, str]] = {}
        for number, photo in enumerate(self.photos):
            _, other = stems.setdefault(Path(photo).stem, (number, photo))
            if other != photo:
                raise UserError(
                    f"{self.path}: {other} and {photo} have the same name without suffix, which "
                    "names the region features of both; rename one of them"
                )
        return stems

    def find(self, folders: Sequence[Path]) -> dict[int, Path]:
        """Return the photo files by image id."""
        files = {}
        for number, photo in enumerate(self.photos):
            path = first_file(folders, photo)
            if path is None:
                searched = " or ".join(str(folder) for folder in folders)
                raise FileNotFoundError(
                    f"{self.path}: there is no photo {photo} in {searched}; correct the name, or "
                    "set --images to the folder of the photos"
                )
            files[number] = path
        return files


def find_own_questions(folder: Path) -> Path | None:
    """Return the questions file of the user in a folder, or None if it has none."""
    files = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(files) > 1:
        raise UserError(f"{folder}: contains both {' and '.join(NAMES)}; keep one of them")
    return files[0] if files else None


def read_own_questions(path: Path) -> OwnQuestions:
    """Read the questions of the user in the order of the file."""
    if path.suffix == ".csv":
        rows = read_rows(path, _COLUMNS, HINT)
        records = [_Record(*(row[name] for name in _COLUMNS)) for row in rows]
    else:
        records = read_records(path, _Record, HINT)
    if not records:
        raise UserError(f"{path}: it contains no question; {HINT}")
    image_ids: dict[str, int] = {}
    questions = []
    for number, record in enumerate(records):
        answers = [answer.strip() for answer in record.answer.split(_SEPARATOR)]
        for name, text in zip(_COLUMNS, (record.image, record.question, *answers), strict=False):
            if not text.strip():
                raise RecordError(path, number, f"its {name} is blank", HINT)
        if not all(answers):
            raise RecordError(path, number, "one of its answers is blank", HINT)
        image_id = image_ids.setdefault(record.image.strip(), len(image_ids))
        repeated = tuple(answer for answer in answers for _ in range(_ANNOTATORS))
        questions.append(
            Question(number, image_id, record.question, repeated, majority_answer=answers[0])
        )
    return OwnQuestions(path, questions, list(image_ids))
