"""Images of CLIP-ViL_p: decoded by workers, resized, and padded to one of two orientations."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clipnav.storage.errors import UserError
from clipnav.storage.pictures import PictureError, picture_header
from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.data.images import read_image


class Pictures(NamedTuple):
    """Images of B pairs, of one size, each padded at all sides.

    Attributes:
        pixels: (M, 3, H, W) uint8 RGB; black in the padding.
        boxes: (M, 4) int64: top, left, height and width of the image without padding.
        rows: (B,) int64: row of the image of each pair, so that pairs of one image share it; None
            if each pair has an image of its own.
    """

    pixels: Tensor
    boxes: Tensor
    rows: Tensor | None = None

    def to(self, device: str | torch.device) -> "Pictures":
        """Move all tensors to a device."""
        moved = (None if x is None else x.to(device, non_blocking=True) for x in self)
        return Pictures(*moved)  # pyright: ignore


class DamagedPictureError(UserError):
    """An image cannot be read; the message names the file."""


class PreparedPicture(NamedTuple):
    """A decoded image in the size of its frame.

    Attributes:
        pixels: (3, H, W) uint8 RGB; black in the padding.
        box: Top, left, height and width of the image without padding.
    """

    pixels: np.ndarray
    box: tuple[int, int, int, int]


def prepare(image: Image.Image, framing: Framing) -> PreparedPicture:
    """Resize an RGB image, and pad it or cut it to the size of its frame."""
    height, width = framing.resized(image.height, image.width)
    rows, columns = framing.frame(image.height, image.width)
    if image.size != (width, height):
        # CLIP-ViL-Pretrain resizes with torchvision's default filter.
        kind = "BILINEAR" if framing.rule == "clip-vil" else "BICUBIC"
        image = image.resize((width, height), Image.Resampling[kind])
    top, left = framing.start(height, rows), framing.start(width, columns)
    framed = Image.new("RGB", (columns, rows))
    framed.paste(image, (left, top))
    pixels = np.ascontiguousarray(np.asarray(framed).transpose(2, 0, 1))
    bottom, right = min(top + height, rows), min(left + width, columns)
    top, left = max(top, 0), max(left, 0)
    return PreparedPicture(pixels, (top, left, bottom - top, right - left))


def read_prepared(path: Path, framing: Framing) -> PreparedPicture:
    """Read an image file; see `prepare`."""
    try:
        image = read_image(path)
    except UserError as error:
        raise DamagedPictureError(str(error)) from error
    return prepare(image, framing)


def read_pictures(
    paths: Sequence[Path],
    framing: Framing,
    frames: Sequence[tuple[int, int]] = (),
    hint: str = "",
) -> Pictures:
    """Read the images of pairs, each file once; see `prepare`."""
    numbers = {path: number for number, path in enumerate(dict.fromkeys(paths))}
    prepared = [read_prepared(path, framing) for path in numbers]
    for path, frame in zip(paths, frames, strict=bool(frames)):
        if prepared[numbers[path]].pixels.shape[1:] != frame:
            raise UserError(f"{path}: has another orientation than its stored size; {hint}")
    pictures = stack(prepared)
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
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such picture")
    try:
        width, height, turned = picture_header(path)
    except PictureError as error:
        raise UserError(
            f"{path}: cannot be read as an image ({error.problem}); convert it, or "
            "download it again"
        ) from error
    return (width, height) if turned else (height, width)
