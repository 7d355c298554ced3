"""Image files by id, named as in COCO or Flickr30K, and a strict reader of them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clipnav.storage.errors import UserError
from clipnav.storage.pictures import PictureError, load_picture

if TYPE_CHECKING:
    from PIL import Image

Key = TypeVar("Key", int, str)

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_NUMBER = re.compile(r"(\d+)$")


def coco_name(subset: str, image_id: int) -> str:
    """Return a file name in the style of COCO 2014: "COCO_val2014_000000000042.jpg"."""
    return f"COCO_{subset}_{image_id:012d}.jpg"


def find_numbered(folder: Path, wanted: Mapping[int, str]) -> dict[int, Path]:
    """Find images by the number at the end of their names, as in COCO 2014 and 2017."""
    files: dict[int, list[Path]] = {}
    for path in image_files(folder):
        number = image_number(path.stem)
        if number is not None:
            files.setdefault(number, []).append(path)
    return _select(folder, files, wanted)


def image_number(stem: str) -> int | None:
    """Return the number at the end of a name without suffix, or None if there is none."""
    match = _NUMBER.search(stem)
    return int(match[1]) if match else None


def find_named(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Find images by name without suffix, as in Flickr30K.

    Arguments and errors are as for `find_numbered`.
    """
    files: dict[str, list[Path]] = {}
    for path in image_files(folder):
        files.setdefault(path.stem, []).append(path)
    return _select(folder, files, wanted)


def image_stem(name: str) -> str:
    """Return the name of an image without the suffix of an image file."""
    path = Path(name)
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def first_file(folders: Sequence[Path], name: str) -> Path | None:
    """Return the file of a relative path in the first of the folders that has it."""
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder, then those of its direct subfolders, sorted by name."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: the image folder does not exist; set --images")
    folders = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return [path for one in folders for path in sorted(one.iterdir()) if _is_image(path)]


def image_tree(folder: Path) -> list[Path]:
    """Return all image files of a folder and its subfolders, sorted by path."""
    files = sorted(path for path in folder.rglob("*") if _is_image(path))
    if not files:
        kinds = ", ".join(sorted(_SUFFIXES))
        raise FileNotFoundError(f"{folder}: no images ({kinds}) in this folder; check its name")
    return files


def read_image(path: Path) -> "Image.Image":
    """Read an image as RGB, rotated according to its EXIF orientation.

    16-bit greyscale images are reduced to the upper 8 bits.
    """
    import numpy as np
    from PIL import Image

    if path.is_dir():
        raise UserError(f"{path}: is a folder, not an image; name one image")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the image does not exist; check its name")
    try:
        image = load_picture(path, upright=True)
    except PictureError as error:
        raise UserError(
            f"{path}: cannot be read as an image ({error.problem}); convert it, or "
            "download it again"
        ) from error
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def image_version(path: Path) -> str:
    """Return a cache key of an image: path, size and modification time of its file."""
    path = path.resolve()
    try:
        status = path.stat()
    except OSError:
        raise FileNotFoundError(f"{path}: the image does not exist; restore it") from None
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"


def holds_attributes(path: Path) -> bool:
    """Return whether a file holds the attributes of another file, "._NAME" of macOS."""
    return path.name.startswith("._")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not holds_attributes(path)


def _select(
    folder: Path, files: Mapping[Key, list[Path]], wanted: Mapping[Key, str]
) -> dict[Key, Path]:
    missing = [key for key in wanted if key not in files]
    if missing:
        raise FileNotFoundError(
            f"{folder}: no file of image {missing[0]} of {wanted[missing[0]]}; "
            f"{len(missing)} of {len(wanted)} images are missing; set --images to their folder"
        )
    ambiguous = next((key for key in wanted if len(files[key]) > 1), None)
    if ambiguous is not None:
        first, second = sorted(files[ambiguous])[:2]
        raise UserError(
            f"{first} and {second} are both image {ambiguous} of {wanted[ambiguous]}; set --images "
            "to the folder of one of them"
        )
    return {key: files[key][0] for key in wanted}
