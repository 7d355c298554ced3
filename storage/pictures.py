"""Image files: JPEG, and untrusted files with a size limit and one error type for all damage."""

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clipnav.storage.bounds import check_pixels, check_webp
from clipnav.storage.errors import UserError, in_one_line

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# Only the formats of images in data sets, so that fewer decoders of Pillow are exposed.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_ORIENTATION = 0x0112  # tag of EXIF
_TURNED = (5, 6, 7, 8)  # its values that exchange width and height
_DAMAGE = (
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
)


class PictureError(UserError):
    """An image cannot be read.

    Attributes:
        problem: The reason, without the name of the file.
    """

    def __init__(self, source: object, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.problem = problem


def load_picture(source: Path | bytes, name: object = None, upright: bool = False) -> "Image.Image":
    """Read and decode an image; its size is checked before memory is allocated."""
    from PIL import Image, ImageOps

    damage = (*_DAMAGE, Image.DecompressionBombError)
    name = source if name is None and isinstance(source, Path) else name
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
        with file, _opened(file) as image:
            check_pixels(*image.size)
            image.load()
            if upright:
                ImageOps.exif_transpose(image, in_place=True)
            return image
    except FileNotFoundError:
        raise
    except damage as error:
        raise PictureError(name, _problem(error)) from error


def encode_jpeg(picture: "np.ndarray", quality: int) -> bytes:
    """Encode a picture (H, W, 3) uint8 as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=quality)
    return data.getvalue()


def picture_header(path: Path) -> tuple[int, int, bool]:
    """Read width and height of an image, and whether EXIF exchanges them; nothing is decoded."""
    from PIL import Image

    try:
        with path.open("rb") as file, _opened(file) as image:
            turned = image.getexif().get(_ORIENTATION) in _TURNED
            return image.width, image.height, turned
    except FileNotFoundError:
        raise
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise PictureError(path, _problem(error)) from error


def _opened(file: BinaryIO) -> "Image.Image":
    from PIL import Image, WebPImagePlugin  # noqa: F401  (registers its format)

    check_webp(file.read(30))
    file.seek(0)
    return Image.open(file, "r", FORMATS)


def _problem(error: BaseException) -> str:
    """Describe an error of Pillow, which names no format that it could have read."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"cannot identify its format, which must be one of {', '.join(FORMATS)}"
    return in_one_line(error)
