"""The pip package easy-vqa as VQA v2 files: questions about a coloured shape on a plain ground.

4,000 and 1,000 pictures of 64 pixels with 38,575 and 9,673 questions of 13 answers
(github.com/vzhou842/easy-VQA). Its pictures are copied, not encoded anew.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from storage import atomic_write
from vl_tasks.data.questions import Question
from vl_tasks.data.question_files import write_questions

SPLITS = ("train", "test")
REMEDY = "install the package easy-vqa: pip install 'clipnav[easy-vqa]'"
_FIRST_IMAGE = {"train": 0, "test": 100_000}  # so that image ids are unique over the splits
_QUESTIONS_PER_IMAGE = 100


@dataclass(frozen=True)
class EasyVqaFiles:
    """Files of easy-vqa in the form of VQA v2.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def questions(self, split: str) -> Path:
        """Questions file."""
        return self.folder / f"v2_OpenEnded_easy_{split}_questions.json"

    def annotations(self, split: str) -> Path:
        """Annotations file."""
        return self.folder / f"v2_easy_{split}_annotations.json"

    def images(self, split: str) -> Path:
        """Folder of pictures."""
        return self.folder / "images" / split


def convert_easy_vqa(
    folder: Path, source: Path | None = None, splits: Sequence[str] = SPLITS
) -> EasyVqaFiles:
    """Write the package's questions and pictures as VQA v2 files.

    Args:
        folder: Where to write; files of an earlier call are replaced.
        source: Folder `data` of the package; None looks for the installed one.
        splits: Of "train" and "test".

    Raises:
        FileNotFoundError: The package, or a picture of a question, is not there.
        ValueError: A questions file is damaged; names it.
    """
    source = source or _installed()
    files = EasyVqaFiles(folder)
    for split in splits:
        questions = list(_questions(source / split / "questions.json", split))
        files.images(split).mkdir(parents=True, exist_ok=True)
        for number in sorted({one.image_id - _FIRST_IMAGE[split] for one in questions}):
            picture = source / split / "images" / f"{number}.png"
            if not picture.is_file():
                raise FileNotFoundError(f"{picture}: a question asks about it; {REMEDY}")
            name = f"COCO_easy_{split}_{number + _FIRST_IMAGE[split]:012d}.png"
            with atomic_write(files.images(split) / name) as beside:
                shutil.copyfile(picture, beside)
        write_questions(questions, files.questions(split), files.annotations(split), "easy", split)
    return files


def _questions(path: Path, split: str) -> Iterator[Question]:
    try:
        rows = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str, int]])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not the questions of easy-vqa ({error}); {REMEDY}") from error
    places: dict[int, int] = {}
    for text, answer, number in rows:
        image_id = number + _FIRST_IMAGE[split]
        place = places[image_id] = places.get(image_id, -1) + 1
        yield Question(
            question_id=image_id * _QUESTIONS_PER_IMAGE + place,
            image_id=image_id,
            text=text,
            answers=(answer,),
            question_type=" ".join(text.split()[:2]),
            answer_type="yes/no" if answer in ("yes", "no") else "other",
            majority_answer=answer,
        )


def _installed() -> Path:
    spec = find_spec("easy_vqa")
    if spec is None or not spec.origin:
        raise FileNotFoundError(f"easy-vqa is not installed; {REMEDY}")
    return Path(spec.origin).parent / "data"
