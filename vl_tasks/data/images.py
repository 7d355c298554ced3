"""Picture files by image id, in COCO's naming and others', read strictly."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from storage.pictures import PictureError, load_picture

if TYPE_CHECKING:
    from PIL import Image

Key = TypeVar("Key", int, str)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_NUMBER = re.compile(r"(\d+)$")


def coco_name(subset: str, image_id: int) -> str:
    """Name of a picture as COCO 2014 has it: "COCO_val2014_000000000042.jpg"."""
    return f"COCO_{subset}_{image_id:012d}.jpg"


def find_numbered(folder: Path, wanted: Mapping[int, str]) -> dict[int, Path]:
    """Pictures by the number at the end of their names, as COCO has them (2014 and 2017).

    Args:
        folder: Where they lie, directly or in folders such as `train2014` below.
        wanted: Image ids, with the record that needs each, for the error.

    Raises:
        FileNotFoundError: The folder, or one of the pictures, is not there.
        ValueError: Two files of a wanted number, and so two pictures of one image id.
    """
    found: dict[int, list[Path]] = {}
    for path in _pictures(folder):
        match = _NUMBER.search(path.stem)
        if match:
            found.setdefault(int(match[1]), []).append(path)
    return _picked(folder, found, wanted)


def find_named(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Pictures by their names without suffix, as Flickr30K has them.

    Args and errors are those of `find_numbered`.
    """
    found: dict[str, list[Path]] = {}
    for path in _pictures(folder):
        found.setdefault(path.stem, []).append(path)
    return _picked(folder, found, wanted)


def picture_tree(folder: Path) -> list[Path]:
    """All pictures below a folder, in the order of their paths.

    Raises:
        FileNotFoundError: There is no such folder, or no picture in it.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise FileNotFoundError(f"{folder}: there are no pictures ({kinds}) in this folder")
    return found


def read_image(path: Path) -> "Image.Image":
    """Read a picture as RGB, turned upright as its EXIF says.

    Of 16 bits, which only grey pictures keep when they are opened, the upper 8 are taken.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It cannot be read, or not wholly, or is too large; names the file.
    """
    import numpy as np
    from PIL import Image

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such picture")
    try:
        image = load_picture(path, upright=True)
    except PictureError as error:
        raise ValueError(
            f"{path}: cannot be read as a picture ({error.problem}); fetch it again"
        ) from error
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder of pictures")
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [path for place in places for path in place.iterdir() if path.suffix.lower() in SUFFIXES]


def _picked(
    folder: Path, found: Mapping[Key, list[Path]], wanted: Mapping[Key, str]
) -> dict[Key, Path]:
    missing = [key for key in wanted if key not in found]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no picture of image {missing[0]}, which {wanted[missing[0]]} needs; "
            f"{len(missing)} of {len(wanted)} pictures are missing"
        )
    twice = next((key for key in wanted if len(found[key]) > 1), None)
    if twice is not None:
        first, second = sorted(found[twice])[:2]
        raise ValueError(
            f"{first} and {second} are both image {twice}, which {wanted[twice]} needs; "
            "give the folder that holds the wanted one"
        )
    return {key: found[key][0] for key in wanted}
