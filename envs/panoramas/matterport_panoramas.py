"""Panoramas and views of Matterport3D's viewpoints, from their skyboxes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.panoramas.cameras import camera_turn, equirectangular_camera, perspective_camera
from clipnav.envs.panoramas.cube_maps import (
    cube_strip,
    draw,
    rays,
    rotated,
    sample_distance,
    whole_reduction,
)
from clipnav.envs.panoramas.panorama import Panorama
from clipnav.envs.panoramas.skyboxes import (
    METRES_PER_DEPTH_UNIT,
    depth_file,
    read_depth,
    read_skybox,
    skybox_axes,
)
from clipnav.storage.errors import UnknownNameError
from clipnav.storage.features.view_grid import NUM_VIEWS, VFOV, view_direction

if TYPE_CHECKING:
    import torch


class MatterportPanoramas:
    """Panoramas and views at viewpoints of Matterport3D."""

    def __init__(
        self, dataset_path: Path, connectivity_dir: Path, width: int = 2048, full: bool = False
    ):
        self._dataset = Path(dataset_path)
        self._connectivity_dir = Path(connectivity_dir)
        self._width = width
        self._full = full
        self._axes: dict[str, dict[str, np.ndarray]] = {}

    def panorama(self, scan: str, viewpoint: str) -> Panorama:
        """Return RGB and depth around a viewpoint.

        Depth is NaN where it is unknown, and everywhere if the viewpoint has no depth skybox.
        Object ids are unknown (-1).
        """
        axes = self._viewpoint_axes(scan, viewpoint)
        directions = _equirectangular_rays(self._width)
        faces = read_skybox(self._dataset, scan, viewpoint, self._full)
        finer = faces.shape[0] * np.pi / self._width
        strip = cube_strip(faces, whole_reduction(faces.shape[0], finer))
        depth = np.full(directions.shape[1:], np.nan, np.float32)
        if depth_file(self._dataset, scan, viewpoint).is_file():
            units = read_depth(self._dataset, scan, viewpoint)
            depth = sample_distance(units, rotated(axes, directions))
            depth *= np.float32(METRES_PER_DEPTH_UNIT)
        return Panorama(draw(strip, axes, directions), depth, np.full(depth.shape, -1, np.int32))

    def views36(
        self, scan: str, viewpoint: str, size: int | tuple[int, int] = 224, vfov: float = VFOV
    ) -> np.ndarray:
        """Return the 36 views of a viewpoint, sampled from its skybox without a panorama.

        Args:
            vfov: Vertical field of view in radians; pixels are square.

        Returns:
            (36, height, width, 3) uint8 RGB, in the order and geometry of
            `clipnav.envs.panoramas.views.views36`.
        """
        shape = (size, size) if isinstance(size, int) else size
        axes = self._viewpoint_axes(scan, viewpoint)
        faces = read_skybox(self._dataset, scan, viewpoint, self._full)
        finer = faces.shape[0] * np.tan(vfov / 2) / shape[0]
        strip = cube_strip(faces, whole_reduction(faces.shape[0], finer))
        level = _level_rays(shape, vfov)
        views = np.empty((NUM_VIEWS, *shape, 3), np.uint8)
        for view in range(NUM_VIEWS):
            views[view] = draw(strip, axes @ camera_turn(*view_direction(view)), level)
        return views

    def crops(self, scan: str, viewpoint: str, crops: np.ndarray, size: int) -> np.ndarray:
        """Return square pictures of a viewpoint, (n, size, size, 3) uint8 RGB.

        Args:
            crops: (n, 3) heading, elevation and field of view of each picture in radians.
        """
        axes = self._viewpoint_axes(scan, viewpoint)
        faces = read_skybox(self._dataset, scan, viewpoint, self._full)
        strips: dict[int, torch.Tensor] = {}
        pictures = np.empty((len(crops), size, size, 3), np.uint8)
        for number, (heading, elevation, field) in enumerate(crops.tolist()):
            finer = faces.shape[0] * np.tan(field / 2) / size
            factor = whole_reduction(faces.shape[0], finer)
            if factor not in strips:
                strips[factor] = cube_strip(faces, factor)
            turned = axes @ camera_turn(heading, elevation)
            pictures[number] = draw(strips[factor], turned, _level_rays((size, size), field))
        return pictures

    def _viewpoint_axes(self, scan: str, viewpoint: str) -> np.ndarray:
        if scan not in self._axes:
            self._axes[scan] = skybox_axes(scan, self._connectivity_dir)
        if viewpoint not in self._axes[scan]:
            raise UnknownNameError(f"{scan}_connectivity.json has no viewpoint {viewpoint!r}")
        return self._axes[scan][viewpoint]


@lru_cache(maxsize=1)
def _equirectangular_rays(width: int) -> np.ndarray:
    return rays(equirectangular_camera(width), (width // 2, width))


@lru_cache(maxsize=1)
def _level_rays(shape: tuple[int, int], vfov: float) -> np.ndarray:
    return rays(perspective_camera(shape, 0.0, 0.0, vfov), shape)
