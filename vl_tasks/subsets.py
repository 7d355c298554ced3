"""Subsets of records: batches, evenly spaced ones, and the split "held-out"."""

import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.data.images import image_number

Record = TypeVar("Record")

_COCO_NAME = re.compile(r"\d+|.*\D\d{12}")  # the number alone, or with zeros to twelve digits


def in_batches(count: int, size: int) -> Sequence[np.ndarray]:
    """Split the indices 0..count - 1 into batches of `size`."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Return at most `most` of the indices 0..count - 1, (n,) int64, evenly spaced from the first.

    The first and the last index are among them if `most` is at least 2.
    """
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def is_held_out(image: int | str) -> bool:
    """Whether an image is one of the twentieth that the split "held-out" reserves.

    An image is held out in all tasks or in none, so that a pre-trained network is not evaluated on
    images that it has learnt.

    Args:
        image: Id, or name as in `held_out_names`. COCO's names count as their number, because some
            tasks refer to images by number and others by name. Other numbers in names do not:
            those of "chair_1" to "chair_3" would be the same for many images.
    """
    return _place(image) % 20 == 0


def held_out_names(paths: Sequence[str]) -> list[str]:
    """Return the names by which `is_held_out` takes images: without folders and suffix.

    If two files have the same name, such as chair/front.jpg and lamp/front.jpg, all names contain
    the last folder.
    """
    names = [Path(path).stem for path in paths]
    if len({*names}) == len({*paths}):
        return names
    return [f"{Path(path).parent.name}/{name}" for path, name in zip(paths, names, strict=True)]


def _place(image: int | str) -> int:
    """Return a number that depends on the image alone."""
    name = str(image)
    number = image_number(name) if _COCO_NAME.fullmatch(name) else None
    return zlib.crc32(str(image if number is None else number).encode())


def parted(
    records: Sequence[Record], picture: Callable[[Record], int | str]
) -> tuple[list[Record], list[Record]]:
    """Split records by image into a held-out split and a training split.

    The held-out split has at least one image.
    """
    ids = {picture(record) for record in records}
    if len(ids) < 2:
        raise UserError(
            "--select-by held-out: all training records belong to one image; add further images"
        )
    held = {image_id for image_id in ids if is_held_out(image_id)}
    if not held or held == ids:
        held = {min(ids, key=_place)}
    return (
        [record for record in records if picture(record) in held],
        [record for record in records if picture(record) not in held],
    )
