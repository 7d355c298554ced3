"""Conversion of the pip package easy-vqa to VQA v2 files.

Its questions are about a coloured shape on a plain background: 4,000 and 1,000 images of 64 pixels
with 38,575 and 9,673 questions and 13 answers (github.com/vzhou842/easy-VQA). The image files are
copied, not encoded again.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.data.questions import Question, write_questions

SPLITS = ("train", "test")
HINT = "install the package easy-vqa: pip install 'clipnav[easy-vqa]'"
_FIRST_IMAGE = {"train": 0, "test": 100_000}  # so that image ids are unique over the splits
_QUESTIONS_PER_IMAGE = 100


@dataclass(frozen=True)
class EasyVqaFiles:
    """Files of easy-vqa in the format of VQA v2.

    Attributes:
        folder: The folder of the files.
    """

    folder: Path

    def questions(self, split: str) -> Path:
        """Return the questions file of a split."""
        return self.folder / f"v2_OpenEnded_easy_{split}_questions.json"

    def annotations(self, split: str) -> Path:
        """Return the annotations file of a split."""
        return self.folder / f"v2_easy_{split}_annotations.json"

    def images(self, split: str) -> Path:
        """Return the image folder of a split."""
        return self.folder / "images" / split


def convert_easy_vqa(
    folder: Path, source: Path | None = None, splits: Sequence[str] = SPLITS
) -> EasyVqaFiles:
    """Write the questions and images of the package as VQA v2 files."""
    if source is None:
        spec = find_spec("easy_vqa")
        if spec is None or not spec.origin:
            raise FileNotFoundError(f"easy-vqa is not installed; {HINT}")
        source = Path(spec.origin).parent / "data"
    files = EasyVqaFiles(folder)
    for split in splits:
        questions = list(_questions(source / split / "questions.json", split))
        files.images(split).mkdir(parents=True, exist_ok=True)
        for number in sorted({one.image_id - _FIRST_IMAGE[split] for one in questions}):
            image = source / split / "images" / f"{number}.png"
            if not image.is_file():
                raise FileNotFoundError(f"{image}: the image of a question is missing; {HINT}")
            name = f"COCO_easy_{split}_{number + _FIRST_IMAGE[split]:012d}.png"
            with atomic_write(files.images(split) / name) as beside:
                shutil.copyfile(image, beside)
        write_questions(questions, files.questions(split), files.annotations(split), "easy", split)
    return files


def _questions(path: Path, split: str) -> Iterator[Question]:
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str, int]])
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not the questions of easy-vqa ({error}); {HINT}") from error
    last_index: dict[int, int] = {}
    for text, answer, number in rows:
        image_id = number + _FIRST_IMAGE[split]
        index = last_index[image_id] = last_index.get(image_id, -1) + 1
        yield Question(
            question_id=image_id * _QUESTIONS_PER_IMAGE + index,
            image_id=image_id,
            text=text,
            answers=(answer,),
            question_type=" ".join(text.split()[:2]),
            answer_type="yes/no" if answer in ("yes", "no") else "other",
            majority_answer=answer,
        )
