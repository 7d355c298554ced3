"""Division of the images of a split into dev, val and test, as in reliable_vqa (`split_data.py`).

Selectors are trained on dev; val selects their weights and the thresholds; test is reported.
"""

import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json_object
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.reliability.published_parts import read_published_ids
from clipnav.vl_tasks.reliability.settings import PART_SEED

PARTS = ("dev", "val", "test")
SHARES = (0.4, 0.1, 0.5)
_REMEDY = "write it with clipnav split-questions"

# Image ids by part.
Parts = Mapping[str, Collection[int]]


def divide_images(
    questions: Sequence[Question], shares: Sequence[float] = SHARES, seed: int = PART_SEED
) -> dict[str, list[int]]:
    """Divide the images of questions at random.

    Args:
        seed: Random seed; the published division has 1234.
    """
    is_division = len(shares) == len(PARTS) and all(share > 0 for share in shares)
    if not (is_division and abs(sum(shares) - 1) < 1e-9):  # False for NaN
        given = " ".join(map(str, shares))
        raise UserError(f"--shares {given}: give three positive shares that add up to 1")
    images = list(dict.fromkeys(question.image_id for question in questions))
    random.Random(seed).shuffle(images)
    ends = [0, round(shares[0] * len(images))]
    ends += [ends[1] + round(shares[1] * len(images)), len(images)]
    parts = {name: sorted(images[a:b]) for name, a, b in zip(PARTS, ends, ends[1:], strict=False)}
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
        parts = {name: read_published_ids(path / f"imdb_val2014-{name}.npy") for name in PARTS}
    else:
        parts = read_json_object(path, _REMEDY)
        wrong = [name for name in PARTS if not _are_ids(parts.get(name))]
        if wrong or len(parts) > len(PARTS):
            problem = f"{wrong[0]!r} is not a list of image ids" if wrong else "has other keys"
            raise UserError(f"{path}: {problem}; {_REMEDY}")
    counts = Counter(image for ids in parts.values() for image in ids)
    twice = [image for image, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"{path}: image {twice[0]} occurs twice; {_REMEDY}")
    return parts


def write_parts(path: Path, parts: Parts) -> None:
    """Write a division as JSON, {"dev": [image ids], "val": [...], "test": [...]}."""
    text = json.dumps({name: list(parts[name]) for name in PARTS})
    write_text(path, text.replace("], ", "],\n ") + "\n")


def questions_of_parts(
    questions: Iterable[Question], parts: Parts, source: str
) -> dict[str, list[Question]]:
    """Return the questions of each part."""
    part_of = {image: name for name in PARTS for image in parts[name]}
    divided: dict[str, list[Question]] = {name: [] for name in PARTS}
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


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(type(one) is int for one in value)
