"""One's own questions about one's own photos: a file `questions.csv` or `questions.json`.

The CSV file has the columns image, question and answer; the JSON file is a list of such records.
`image` is the photo's place below the folder `images`, or below that of the file. Several right
answers stand in one field with "|" between.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from storage.records import RecordError, read_records
from vl_tasks.vqa.data import Question

NAMES = ("questions.csv", "questions.json")
REMEDY = "each question needs image, question and answer, see docs/vl_tasks.md"
_COLUMNS = ("image", "question", "answer")
_BETWEEN = "|"
_ANNOTATORS = 4  # so many who give an answer make it worth 1


class _Record(msgspec.Struct, gc=False):
    image: str
    question: str
    answer: str


@dataclass(frozen=True)
class OwnQuestions:
    """Questions of one's own.

    Attributes:
        path: The file.
        questions: With answers; their image ids count the photos from 0.
        photos: Place of each photo below its folder, by image id.
    """

    path: Path
    questions: list[Question]
    photos: list[str]

    def find(self, folders: Sequence[Path]) -> dict[int, Path]:
        """Find the photos by image id.

        Args:
            folders: Where the photos may lie; the first that has one counts.

        Raises:
            FileNotFoundError: A photo is in none of them.
        """
        found = {}
        for number, photo in enumerate(self.photos):
            files = [folder / photo for folder in folders if (folder / photo).is_file()]
            if not files:
                looked = " or ".join(str(folder) for folder in folders)
                raise FileNotFoundError(
                    f"{self.path}: there is no photo {photo} in {looked}; correct the name, or say "
                    "with --images where the photos are"
                )
            found[number] = files[0]
        return found


def own_file(folder: Path) -> Path | None:
    """Find the file of own questions in a folder, if it has one.

    Raises:
        ValueError: It has two.
    """
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder}: there are {' and '.join(NAMES)}; keep one of them there")
    return found[0] if found else None


def read_own(path: Path) -> OwnQuestions:
    """Read own questions, in the order of the file.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is damaged or empty, or a field is missing or blank; names file and record.
    """
    records = _read_csv(path) if path.suffix == ".csv" else read_records(path, _Record, REMEDY)
    if not records:
        raise ValueError(f"{path}: there is no question in it; {REMEDY}")
    numbers: dict[str, int] = {}
    questions = []
    for place, record in enumerate(records):
        answers = [answer.strip() for answer in record.answer.split(_BETWEEN)]
        for name, text in zip(_COLUMNS, (record.image, record.question, *answers), strict=False):
            if not text.strip():
                raise RecordError(path, place, f"its {name} is blank", REMEDY)
        if not all(answers):
            raise RecordError(path, place, "one of its answers is blank", REMEDY)
        image_id = numbers.setdefault(record.image.strip(), len(numbers))
        said = tuple(answer for answer in answers for _ in range(_ANNOTATORS))
        questions.append(
            Question(place, image_id, record.question, said, majority_answer=answers[0])
        )
    return OwnQuestions(path, questions, list(numbers))


def _read_csv(path: Path) -> list[_Record]:
    # Spreadsheets begin their files with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{path}: its first line lacks {', '.join(missing)}; {REMEDY}")
            records = []
            for place, row in enumerate(reader):
                values = [row[name] for name in _COLUMNS]
                if None in row or None in values:
                    problem = 'it has more or fewer fields than the first line (quote "a, b")'
                    raise RecordError(path, place, problem, REMEDY)
                records.append(_Record(*values))
            return records
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: not a CSV file in UTF-8 ({error}); {REMEDY}") from error
