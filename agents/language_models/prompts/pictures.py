"""Pictures of prompts as JPEG files."""

import base64
import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from envs.pictures.view_pictures import ViewPose

QUALITY = 85
_KEPT = 2048  # pictures in memory, of about 5 kB each

Draw = Callable[[ViewPose], np.ndarray]


class Pictures:
    """Pictures of a world as JPEG files, kept in memory.

    Args:
        draw: Function that draws a picture (H, W, 3) uint8.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.jpeg = lru_cache(_KEPT)(self._make)

    def data_uri(self, view: ViewPose) -> str:
        """Return a picture as a data URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg(view)).decode()

    def _make(self, view: ViewPose) -> bytes:
        return encode_jpeg(self._draw(view))


def encode_jpeg(picture: np.ndarray) -> bytes:
    """Encode a picture (H, W, 3) uint8 as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()
