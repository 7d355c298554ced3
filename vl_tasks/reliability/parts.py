"""Division of the images of a split into dev, val and test, as in reliable_vqa (`split_data.py`).

Selectors are trained on dev; val selects their weights and the thresholds; test is reported. The
published divisions are mmf's imdb files, pickled NumPy arrays of records; the pickle is parsed
without importing or calling anything that it names.
"""

import io
import json
import pickle
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from clipnav.storage import write_text
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import read_json_object
from clipnav.vl_tasks.data.questions import Question, question_images, read_questions, wanted_images
from clipnav.vl_tasks.data_folders import data_folder, image_folder, split_file
from clipnav.vl_tasks.grids.regions import find_regions
from clipnav.vl_tasks.reliability.settings import PART_SEED
from clipnav.vl_tasks.vqa.settings import VqaConfig

_PARTS = ("dev", "val", "test")
_SHARES = (0.4, 0.1, 0.5)
_HINT = "write it with clipnav split-questions"
# Image ids by part.
Parts = Mapping[str, Collection[int]]
_DOWNLOAD = (
    "use a file imdb_val2014-PART.npy of reliable_vqa, or divide the split with clipnav "
    "split-questions"
)


@dataclass(frozen=True)
class QuestionSplit:
    """Questions with answers.

    Attributes:
        questions_file: Questions file.
        annotations_file: Annotations file.
        questions: The questions.
    """

    questions_file: Path
    annotations_file: Path
    questions: list[Question]


def read_split(folder: Path, split: str, flag: str = "--split") -> QuestionSplit:
    """Read the questions of a split in a data folder."""
    questions = split_file(folder, split, "_questions.json", flags=flag)
    annotations = split_file(folder, split, "_annotations.json", flags=flag)
    return QuestionSplit(questions, annotations, read_questions(questions, annotations))


def input_files(config: VqaConfig, questions: list[Question]) -> Mapping[int, Path]:
    """Return the image files, or region files, that the model of a run reads, by image id."""
    if not config.vision:
        return {}
    if config.regions is not None:
        return find_regions(config.regions, wanted_images(questions))
    return question_images(questions, image_folder(config, data_folder(config)))


def divide_images(
    questions: Sequence[Question], shares: Sequence[float] = _SHARES, seed: int = PART_SEED
) -> dict[str, list[int]]:
    """Divide the images of questions at random.

    Args:
        seed: Random seed; the published division has 1234.
    """
    is_division = len(shares) == len(_PARTS) and all(share > 0 for share in shares)
    if not (is_division and abs(sum(shares) - 1) < 1e-9):  # False for NaN
        given = " ".join(map(str, shares))
        raise UserError(f"--shares {given}: give three positive shares that add up to 1")
    images = list(dict.fromkeys(question.image_id for question in questions))
    random.Random(seed).shuffle(images)
    ends = [0, round(shares[0] * len(images))]
    ends += [ends[1] + round(shares[1] * len(images)), len(images)]
    parts = {name: sorted(images[a:b]) for name, a, b in zip(_PARTS, ends, ends[1:], strict=False)}
    empty = [name for name, ids in parts.items() if not ids]
    if empty:
        raise UserError(
            f"{len(images)} images are too few: part {empty[0]} has none; use a split with more "
            "images, or other --shares"
        )
    return parts


def read_parts(path: Path) -> dict[str, list[int]]:
    """Read a division: a file of `write_parts`, or the folder of the published files.

    The published files are imdb_val2014-dev.npy, imdb_val2014-val.npy and imdb_val2014-test.npy.
    """
    if path.is_dir():
        parts = {name: read_published_ids(path / f"imdb_val2014-{name}.npy") for name in _PARTS}
    else:
        parts = read_json_object(path, _HINT)
        wrong = [
            name
            for name in _PARTS
            if not isinstance(ids := parts.get(name), list)
            or not ids
            or not all(type(one) is int for one in ids)
        ]
        if wrong or len(parts) > len(_PARTS):
            problem = f"{wrong[0]!r} is not a list of image ids" if wrong else "has other keys"
            raise UserError(f"{path}: {problem}; {_HINT}")
    counts = Counter(image for ids in parts.values() for image in ids)
    twice = [image for image, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"{path}: image {twice[0]} occurs twice; {_HINT}")
    return parts


def write_parts(path: Path, parts: Parts) -> None:
    """Write a division as JSON, {"dev": [image ids], "val": [...], "test": [...]}."""
    text = json.dumps({name: list(parts[name]) for name in _PARTS})
    write_text(path, text.replace("], ", "],\n ") + "\n")


def questions_of_parts(
    questions: Iterable[Question], parts: Parts, source: str
) -> dict[str, list[Question]]:
    """Return the questions of each part."""
    part_of = {image: name for name in _PARTS for image in parts[name]}
    divided: dict[str, list[Question]] = {name: [] for name in _PARTS}
    for question in questions:
        name = part_of.get(question.image_id)
        if name is None:
            raise UserError(
                f"{source}: image {question.image_id} of question_id {question.question_id} is in "
                "no part; divide this split with clipnav split-questions"
            )
        divided[name].append(question)
    used = {question.image_id for rows in divided.values() for question in rows}
    foreign = part_of.keys() - used
    if foreign:
        raise UserError(
            f"{source}: image {min(foreign)} has no question in this split; divide this split with "
            "clipnav split-questions"
        )
    return divided


class _Array:
    """Stand-in for numpy.ndarray: keeps the items of an array of objects."""

    items: Any = None

    def __setstate__(self, state: Any) -> None:
        self.items = state[4] if isinstance(state, tuple) and len(state) == 5 else None


class _Ignored:
    """Stand-in for numpy.dtype."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


_STAND_INS: dict[str, Any] = {
    "_reconstruct": lambda *arguments: _Array(),  # numpy's function that creates an empty array
    "ndarray": _Array,
    "dtype": _Ignored,
}


class _Unpickler(pickle._Unpickler):  # pyright: ignore[reportAttributeAccessIssue]
    """Unpickler that resolves NumPy's array types to stand-ins, and nothing else.

    The one in C allocates memory for a memo of as many entries as the largest index.
    """

    # It allocates what it declares.
    dispatch: ClassVar = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()  # pyright: ignore
        if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in _STAND_INS:
            return _STAND_INS[name]
        raise pickle.UnpicklingError(f"it contains {module}.{name}")


def read_published_ids(path: Path) -> list[int]:
    """Return the image ids of a published file, sorted."""
    raw = path.read_bytes()
    try:
        file = io.BytesIO(raw)
        is_first = np.lib.format.read_magic(file) == (1, 0)
        header = np.lib.format
        read = header.read_array_header_1_0 if is_first else header.read_array_header_2_0
        if not read(file)[2].hasobject:
            raise UserError("an array of numbers")
        array = _Unpickler(file).load()
        if not isinstance(array, _Array) or not isinstance(array.items, list):
            raise UserError("not an array of records")
    except Exception as error:  # a damaged pickle raises any type
        problem = truncate(str(error) or type(error).__name__, 200)
        raise UserError(f"{path}: not a published division ({problem}); {_DOWNLOAD}") from error
    # The first record describes the file and has no image.
    ids = {one["image_id"] for one in array.items if isinstance(one, dict) and "image_id" in one}
    if not ids or not all(type(one) is int for one in ids):
        raise UserError(f"{path}: no record has an 'image_id' that is a number; {_DOWNLOAD}")
    return sorted(ids)
