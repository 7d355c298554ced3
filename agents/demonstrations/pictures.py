"""Pictures of viewpoints in given directions, as JPEG files that walks share."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from agents.demonstrations.records import RecordedWalk
from envs.worlds import WorldFiles
from storage import atomic_write

# Renders the view of a viewpoint: (scan, viewpoint, heading, elevation) -> (H, W, 3) uint8.
Render = Callable[[str, str, float, float], np.ndarray]

_PANORAMA_WIDTH = 2048  # of skyboxes, whose faces have 512 to 1024 columns
_PANORAMAS_KEPT = 4


@dataclass(frozen=True)
class PictureSettings:
    """Size and quality of pictures.

    Attributes:
        size: Height and width in pixels.
        vfov: Vertical field of view in radians.
        quality: Quality of the JPEG files.
    """

    size: int
    vfov: float
    quality: int


class WorldPictures:
    """Renderer of the views of a world.

    Args:
        files: The world.
        settings: Size and field of view.
        skyboxes: Folder of Matterport3D's scans; the world's own by default.

    Raises:
        FileNotFoundError: The world has no pictures; the message names the folder of the skyboxes.
    """

    def __init__(
        self, files: WorldFiles, settings: PictureSettings, skyboxes: Path | None = None
    ) -> None:
        self._files, self._settings = files, settings
        self._skyboxes = skyboxes or files.annotations_dir / "matterport" / "v1" / "scans"
        if not files.is_built_in and not self._skyboxes.is_dir():
            raise FileNotFoundError(
                f"{self._skyboxes}: no skyboxes, so that there are no pictures to export; put "
                "Matterport3D's scans there, or name their folder with --scan-dir"
            )

    def __call__(self, scan: str, viewpoint: str, heading: float, elevation: float) -> np.ndarray:
        """Return the view (H, W, 3) uint8 in a direction in radians."""
        if self._files.is_built_in:
            return self._of_house(scan, viewpoint, heading, elevation)
        from envs.panoramas.views import perspective

        panorama = self._panorama(scan, viewpoint)
        settings = self._settings
        return perspective(panorama, heading, elevation, settings.size, settings.vfov)

    def _of_house(self, scan: str, viewpoint: str, heading: float, elevation: float) -> np.ndarray:
        from envs.panoramas.cameras import perspective_camera, render

        size = (self._settings.size, self._settings.size)
        camera = perspective_camera(size, heading, elevation, self._settings.vfov)
        position = self._houses.position(scan, viewpoint)
        angle = self._settings.vfov / self._settings.size
        hits = render(self._houses.tracer(scan), position, camera, size, angle)
        return hits.rgb.reshape(*size, 3)

    @cached_property
    def _houses(self):
        from envs.houses.rendering.house_panoramas import HousePanoramas

        return HousePanoramas()

    @cached_property
    def _panorama(self) -> Callable[[str, str], np.ndarray]:
        from envs.panoramas.matterport_panoramas import MatterportPanoramas

        source = MatterportPanoramas(self._skyboxes, self._files.connectivity_dir, _PANORAMA_WIDTH)
        return lru_cache(_PANORAMAS_KEPT)(lambda scan, name: source.panorama(scan, name).rgb)


def write_graph_pictures(
    walks: list[RecordedWalk], folder: Path, render: Render, quality: int
) -> None:
    """Write the pictures of walks on graphs; pictures that exist are kept.

    Args:
        walks: The walks; their pictures depend on viewpoint and direction only, so that walks
            share them.
        folder: Folder of pictures.
        render: Renderer of views.
        quality: Quality of the JPEG files.
    """
    for walk in walks:
        for step in walk.steps:
            views = [(step.picture, step.heading, 0.0)]
            views += [(each.picture, each.heading, each.elevation) for each in step.candidates]
            for name, heading, elevation in views:
                path = folder / name
                if name and not path.is_file():
                    view = render(walk.scan, step.viewpoint, heading, elevation)
                    write_jpeg(path, view, quality)


def write_jpeg(path: Path, picture: np.ndarray, quality: int) -> None:
    """Write a picture (H, W, 3) uint8 as a JPEG file atomically."""
    data = jpeg(picture, quality)
    with atomic_write(path) as beside:
        beside.write_bytes(data)


def jpeg(picture: np.ndarray, quality: int) -> bytes:
    """Encode a picture (H, W, 3) uint8 as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=quality)
    return data.getvalue()
