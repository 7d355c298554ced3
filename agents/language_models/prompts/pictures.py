"""Pictures of prompts as JPEG files."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.pictures import encode_jpeg

QUALITY = 85
_KEPT = 2048  # pictures in memory, of about 5 kB each

Draw = Callable[[ViewPose], np.ndarray]


@dataclass(frozen=True)
class Photo:
    """Picture that an agent has taken.

    Attributes:
        jpeg: Content of a JPEG file.
    """

    jpeg: bytes


class Pictures:
    """Pictures of prompts as JPEG files; those of a world are drawn and kept in memory.

    Args:
        draw: Function that draws a picture (H, W, 3) uint8; None if prompts only contain photos.
    """

    def __init__(self, draw: Draw | None = None) -> None:
        self._draw = draw
        self._drawn = lru_cache(_KEPT)(self._make)

    def jpeg(self, picture: ViewPose | Photo) -> bytes:
        """Return a picture as a JPEG file."""
        return picture.jpeg if isinstance(picture, Photo) else self._drawn(picture)

    def data_uri(self, picture: ViewPose | Photo) -> str:
        """Return a picture as a data URI."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg(picture)).decode()

    def _make(self, view: ViewPose) -> bytes:
        assert self._draw is not None, "a prompt has views, but there is no source of pictures"
        return encode_jpeg(self._draw(view), QUALITY)
