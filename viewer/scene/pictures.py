"""Panoramas as JPEG files, rendered on first request and cached on disk."""

import hashlib
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np

from envs.worlds import WorldFiles
from storage import atomic_write, cache_dir

QUALITY = 82
WIDTHS = (1024, 2048, 4096)  # widths in pixels of the panoramas that the page requests
_KEPT = 256  # number of panoramas in memory, of 100 to 300 kB each

Draw = Callable[[str, str, int], np.ndarray]


class NoPictureError(LookupError):
    """A viewpoint has no panorama; the message contains the reason."""


class Pictures(Protocol):
    """Source of panoramas."""

    note: str
    """Reason why there are no panoramas; empty if there are some."""

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Return a panorama of a viewpoint with north in its centre column.

        Raises:
            NoPictureError: The viewpoint has no panorama.
        """
        ...


class NoPictures:
    """Source without panoramas, for worlds whose images the user does not have."""

    def __init__(self, note: str) -> None:
        self.note = note

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Raise `NoPictureError`."""
        raise NoPictureError(self.note)


class DrawnPictures:
    """Panoramas of a renderer, cached in memory and on disk.

    Args:
        draw: Function of scan, viewpoint and width that returns a panorama (H, 2H, 3) uint8.
        folder: Function that returns the cache folder of a scan.
    """

    note = ""

    def __init__(self, draw: Draw, folder: Callable[[str], Path]) -> None:
        self._draw = draw
        self._folder = folder
        # Ray tracers and the reader of skyboxes are built on first use, which two threads must not
        # do at once.
        self._drawing = Lock()
        self._jpeg = lru_cache(_KEPT)(self._make)

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Return a panorama; see `Pictures`."""
        return self._jpeg(scan, viewpoint, width)

    def _make(self, scan: str, viewpoint: str, width: int) -> bytes:
        try:
            path = self._folder(scan) / f"{viewpoint}_{width}.jpg"
            if path.is_file():
                return path.read_bytes()
            with self._drawing:
                if path.is_file():  # another thread has rendered it in the meantime
                    return path.read_bytes()
                data = encode(self._draw(scan, viewpoint, width))
                with atomic_write(path) as beside:
                    beside.write_bytes(data)
        except (KeyError, FileNotFoundError, ValueError) as error:
            raise NoPictureError(str(error)) from error
        return data


def encode(picture: np.ndarray) -> bytes:
    """Encode a picture (H, W, 3) uint8 as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=QUALITY)
    return data.getvalue()


def world_pictures(files: WorldFiles, skyboxes: Path | None = None) -> Pictures:
    """Return the source of pictures of a world, without pictures if the user has none.

    Args:
        files: The world.
        skyboxes: Folder of Matterport3D's scans; the world's own by default.
    """
    if files.is_built_in:
        return house_pictures()
    folder = skyboxes or files.annotations_dir / "matterport" / "v1" / "scans"
    if folder.is_dir():
        return skybox_pictures(folder, files.connectivity_dir)
    return NoPictures(
        f"No skyboxes in {folder}: only the map is shown. To show panoramas, put Matterport3D's "
        "skybox images there or name their folder with --scan-dir FOLDER."
    )


def house_pictures() -> DrawnPictures:
    """Return the pictures of the built-in houses; a house is built on first request."""
    from envs.houses.building.house import GENERATOR_VERSION, house_cache_dir
    from envs.houses.rendering.house_panoramas import HousePanoramas
    from envs.panoramas import render_panorama

    houses, building = HousePanoramas(), Lock()

    def draw(scan: str, viewpoint: str, width: int) -> np.ndarray:
        position = houses.position(scan, viewpoint)
        return render_panorama(houses.tracer(scan), position, width).rgb

    def folder(scan: str) -> Path:
        path = house_cache_dir() / f"{scan}.glb"
        with building:
            if not path.is_file():
                houses.tracer(scan)
        # The pictures of a house that was built again may differ from the old ones.
        built = f"{path.stat().st_size:x}-{path.stat().st_mtime_ns:x}"
        name = f"houses-v{GENERATOR_VERSION}"
        return cache_dir() / "panoramas" / name / f"{scan}-{built}"

    return DrawnPictures(draw, folder)


def skybox_pictures(folder: Path, connectivity_dir: Path) -> DrawnPictures:
    """Return the pictures of Matterport3D's viewpoints, from the skyboxes in a folder."""
    from envs.panoramas.matterport_panoramas import MatterportPanoramas
    from envs.panoramas.skyboxes import skybox_dir

    @lru_cache
    def panoramas(width: int) -> MatterportPanoramas:
        return MatterportPanoramas(folder, connectivity_dir, width)

    def draw(scan: str, viewpoint: str, width: int) -> np.ndarray:
        return panoramas(width).panorama(scan, viewpoint).rgb

    def kept(scan: str) -> Path:
        # Panoramas depend on the skyboxes and on the poses in the connectivity file.
        parts = (skybox_dir(folder, scan), connectivity_dir / f"{scan}_connectivity.json")
        states = [
            f"{path.resolve()}: {path.exists() and path.stat().st_mtime_ns}" for path in parts
        ]
        digest = hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]
        return cache_dir() / "panoramas" / "matterport" / f"{scan}-{digest}"

    return DrawnPictures(draw, kept)
