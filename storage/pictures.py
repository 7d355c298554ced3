"""Opening pictures that strangers made: bounded in size, and with one error for all damage."""

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

# Of all the formats that Pillow knows, those of pictures in data sets: fewer readers to trust.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
# 268 MB as RGB; the largest pictures of Matterport3D, COCO and Flickr30K have 1.3 million.
MOST_PIXELS = 89_478_485


class PictureError(ValueError):
    """A picture cannot be read.

    Attributes:
        problem: Why, without the name of the file.
    """

    def __init__(self, source: object, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.problem = problem


def load_picture(source: Path | bytes, name: object = None, upright: bool = False) -> "Image.Image":
    """Read a picture wholly; its size is checked before memory is taken for it.

    Args:
        source: The file, or its content.
        name: What the error calls it; the file by default.
        upright: Turn it as its EXIF says.

    Raises:
        FileNotFoundError: There is no such file.
        PictureError: It is damaged, cut short, of another format or has more than `MOST_PIXELS`.
    """
    from PIL import Image, ImageOps, WebPImagePlugin  # noqa: F401  (registers its format)

    damage = (
        OSError,
        SyntaxError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        EOFError,
        MemoryError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    )
    name = source if name is None and isinstance(source, Path) else name
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, "r", FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"{width} x {height} pixels, more than {MOST_PIXELS:,}")
            image.load()
            if upright:
                ImageOps.exif_transpose(image, in_place=True)
            return image
    except FileNotFoundError:
        raise
    except damage as error:
        raise PictureError(name, " ".join(str(error).split()) or type(error).__name__) from error
