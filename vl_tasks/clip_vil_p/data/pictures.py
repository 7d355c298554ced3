"""Images of CLIP-ViL_p: resized, padded to one of two orientations, and decoded by workers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from storage.pictures import PictureError, picture_header
from vl_tasks.clip_vil_p.data.batch import Pictures
from vl_tasks.data.images import read_image


class DamagedPictureError(ValueError):
    """An image cannot be read; the message names the file."""


class PreparedPicture(NamedTuple):
    """A decoded image in the size of its orientation.

    Attributes:
        pixels: (3, H, W) uint8 RGB; black in the padding.
        box: Top, left, height and width of the image without padding.
    """

    pixels: np.ndarray
    box: tuple[int, int, int, int]


def is_portrait(height: int, width: int) -> bool:
    """Return whether an image is higher than wide; square images count as landscape."""
    return height > width


def fitted_size(height: int, width: int, short: int, long: int) -> tuple[int, int]:
    """Return (height, width) of an image after resizing, with its aspect ratio.

    The shorter side becomes `short`, unless the longer side would exceed `long`.
    """
    scale = min(short / min(height, width), long / max(height, width))
    limits = (long, short) if is_portrait(height, width) else (short, long)
    sides = zip((height, width), limits, strict=True)
    fitted = [min(max(round(side * scale), 1), limit) for side, limit in sides]
    return fitted[0], fitted[1]


def prepare(image: Image.Image, short: int, long: int) -> PreparedPicture:
    """Resize an RGB image and pad it at all sides to short x long or long x short pixels."""
    height, width = fitted_size(image.height, image.width, short, long)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    is_upright = is_portrait(image.height, image.width)
    size = (long, short) if is_upright else (short, long)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    pixels = np.zeros((3, *size), np.uint8)
    content = np.asarray(image).transpose(2, 0, 1)
    pixels[:, top : top + height, left : left + width] = content
    return PreparedPicture(pixels, (top, left, height, width))


def read_prepared(path: Path, short: int, long: int) -> PreparedPicture:
    """Read an image file; see `prepare`.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedPictureError: The file cannot be read as an image; names it.
    """
    try:
        image = read_image(path)
    except ValueError as error:
        raise DamagedPictureError(str(error)) from error
    return prepare(image, short, long)


def read_pictures(paths: Sequence[Path], short: int, long: int) -> Pictures:
    """Read the images of pairs, each file once; see `prepare`.

    Args:
        paths: Image of each pair; all have one orientation.
        short: Shorter side of the prepared images in pixels.
        long: Longer side.

    Raises:
        FileNotFoundError: An image is missing.
        DamagedPictureError: A file cannot be read as an image; names it.
    """
    numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
    pictures = stack([read_prepared(path, short, long) for path in numbers])
    if len(numbers) == len(paths):
        return pictures
    return pictures._replace(rows=torch.tensor([numbers[path] for path in paths]))


def stack(pictures: list[PreparedPicture]) -> Pictures:
    """Make a batch of prepared images of one orientation."""
    pixels = np.stack([picture.pixels for picture in pictures])
    boxes = np.array([picture.box for picture in pictures], np.int64)
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(boxes))


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of an image, turned upright as its EXIF data says.

    Only the header of the file is read.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not an image; names it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such picture")
    try:
        width, height, turned = picture_header(path)
    except PictureError as error:
        raise ValueError(
            f"{path}: cannot be read as an image ({error.problem}); download it again"
        ) from error
    return (width, height) if turned else (height, width)
