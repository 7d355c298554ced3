"""Panoramas as files, rendered on first request and cached on disk.

Colours are JPEG files, distances are 16-bit PNG files in millimetres.
"""

import io
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from clipnav.envs.panoramas.panorama import Panorama
from clipnav.storage import atomic_write
from clipnav.storage.pictures import PictureError, encode_jpeg, load_picture

QUALITY = 82
WIDTHS = (1024, 2048, 4096)  # widths in pixels of the panoramas that the page requests
_KEPT = 256  # number of panoramas in memory, of 100 to 300 kB each

MILLIMETRES = 1000
UNKNOWN, NOTHING = 0, 65_535  # distances that are not measured, and rays that hit nothing

Draw = Callable[[str, str, int], Panorama]


class NoPictureError(LookupError):
    """A viewpoint has no panorama; the message contains the reason."""


class PanoramaSource(Protocol):
    """Source of decoded panoramas with north in the centre column."""

    def rgb(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return the colours around a viewpoint, (width / 2, width, 3) uint8."""
        ...

    def distance(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return the distances along the rays, (width / 2, width) uint16 millimetres.

        They are `UNKNOWN` where they are not measured, and `NOTHING` in the sky or beyond 65.5 m.
        """
        ...


class Pictures(PanoramaSource, Protocol):
    """Source of panoramas and of their files."""

    note: str
    """Reason why there are no panoramas; empty if there are some."""

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Return a panorama of a viewpoint with north in its centre column."""
        ...

    def finest(self, scan: str, viewpoint: str, widths: Sequence[int]) -> int:
        """Return the largest of ascending widths that needs no rendering, or the first one."""
        ...


class NoPictures:
    """Source without panoramas, for worlds whose images the user does not have."""

    def __init__(self, note: str) -> None:
        self.note = note

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Raise `NoPictureError`."""
        raise NoPictureError(self.note)

    def finest(self, scan: str, viewpoint: str, widths: Sequence[int]) -> int:
        """Return the first width."""
        return widths[0]

    def rgb(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Raise `NoPictureError`."""
        raise NoPictureError(self.note)

    def distance(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Raise `NoPictureError`."""
        raise NoPictureError(self.note)


class DrawnPictures:
    """Panoramas of a renderer, cached in memory and on disk.

    Args:
        remake: Function that returns an equal source, and its arguments, which pickles and copies
            contain; without it, the source cannot be pickled.
    """

    note = ""

    def __init__(
        self,
        draw: Draw,
        folder: Callable[[str], Path],
        remake: tuple[Callable[..., "DrawnPictures"], tuple[Any, ...]] | None = None,
    ) -> None:
        self._draw = draw
        self._folder = folder
        self._remake = remake
        # Ray tracers and the reader of skyboxes are built on first use, which two threads must not
        # do at once.
        self._drawing = Lock()
        self._jpeg = lru_cache(_KEPT)(
            lambda scan, viewpoint, width: self._file(scan, viewpoint, width, ".jpg").read_bytes()
        )

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Return a panorama; see `Pictures`."""
        return self._jpeg(scan, viewpoint, width)

    def finest(self, scan: str, viewpoint: str, widths: Sequence[int]) -> int:
        """Return the largest of ascending widths that is on disk, or the first one."""
        try:
            folder = self._folder(scan)
        except (KeyError, FileNotFoundError, ValueError):
            return widths[0]
        drawn = [width for width in widths if (folder / f"{viewpoint}_{width}.jpg").is_file()]
        return max(drawn, default=widths[0])

    def rgb(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return decoded colours; see `PanoramaSource`."""
        return self._decoded(scan, viewpoint, width, ".jpg")

    def distance(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return distances; see `PanoramaSource`."""
        return self._decoded(scan, viewpoint, width, "_distance.png").astype(np.uint16)

    def __reduce__(self) -> tuple[Any, ...] | str:
        # Renderers, locks and caches belong to one process.
        return self._remake or super().__reduce__()

    def _decoded(self, scan: str, viewpoint: str, width: int, suffix: str) -> np.ndarray:
        path = self._file(scan, viewpoint, width, suffix)
        try:
            return np.array(load_picture(path))  # writable, as torch expects
        except PictureError as error:
            raise NoPictureError(f"{error}; delete the file, and it is rendered again") from error

    def _file(self, scan: str, viewpoint: str, width: int, suffix: str) -> Path:
        """Return a file of a panorama, which is rendered if it is missing."""
        try:
            colours = self._folder(scan) / f"{viewpoint}_{width}.jpg"
            path = colours.with_name(f"{viewpoint}_{width}{suffix}")
            if path.is_file():
                return path
            with self._drawing:
                if not path.is_file():  # no other thread has rendered it in the meantime
                    panorama = self._draw(scan, viewpoint, width)
                    if not colours.is_file():
                        _write(colours, encode_jpeg(panorama.rgb, QUALITY))
                    if path != colours:
                        _write(path, _encode_distance(panorama.depth))
        except (KeyError, FileNotFoundError, ValueError) as error:
            raise NoPictureError(str(error)) from error
        return path


def _encode_distance(depth: np.ndarray) -> bytes:
    """Encode distances (H, W) in metres as a 16-bit PNG, inf and NaN included."""
    from PIL import Image

    known = np.nan_to_num(depth * MILLIMETRES, nan=UNKNOWN, posinf=NOTHING)
    data = io.BytesIO()
    # The shortest distance is 1, because 0 is unknown.
    values = np.where(np.isnan(depth), UNKNOWN, np.rint(known).clip(1, NOTHING))
    Image.fromarray(values.astype(np.uint16)).save(data, "PNG", compress_level=1)
    return data.getvalue()


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as beside:
        beside.write_bytes(data)
