"""The views of any world's viewpoints, in a form that other threads and processes can take up."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from envs.panoramas.skyboxes import DamagedSkyboxError
from envs.panoramas.view_geometry import VFOV, Geometry, cut_views, geometry_metadata
from storage.processes import WorkerPool

_LOG = logging.getLogger(__name__)

SourceWorld = Literal["houses", "houses-standard", "matterport", "habitat"]
# Worlds whose panoramas are rendered here.
_RENDERED = ("houses", "houses-standard")

# Cuts the views of a scan's viewpoint in a size (height, width) and vertical field of view.
_WorldCutter = Callable[[str, str, tuple[int, int], float], np.ndarray]


@dataclass(frozen=True)
class ViewSource:
    """Where views come from and how they are cut; small, to be sent to where they are made.

    Attributes:
        world: "houses" and "houses-standard" render the built-in houses, "matterport" reads
            skyboxes, "habitat" has habitat-sim render 3D models.
        geometry: see `envs.panoramas.view_geometry`.
        image_size: (height, width) in pixels that the encoder takes.
        width: columns of the built-in houses' panoramas.
        pictures: folder of the scans' skyboxes ("matterport") or of 3D models ("habitat").
        connectivity_dir: folder of the navigation graphs; None for those of each built-in
            house's set.
        full_faces: prefer skyboxes of full size to downsized ones.
        skip_damaged: leave viewpoints with damaged skyboxes out.
        gpu_device_id: of "habitat", see `HabitatPanoramas`.
    """

    world: SourceWorld
    geometry: Geometry
    image_size: tuple[int, int]
    width: int = 1024
    pictures: Path | None = None
    connectivity_dir: Path | None = None
    full_faces: bool = False
    skip_damaged: bool = False
    gpu_device_id: int | None = None

    def views(self, scan: str, viewpoint: str) -> np.ndarray:
        """(36, height, width, 3) uint8 of a viewpoint, of `image_size`.

        Raises:
            KeyError: no such scan or viewpoint.
            FileNotFoundError: its picture or the scan's navigation graph is missing.
            DamagedSkyboxError: a file of its skybox is damaged.
        """
        cut = _cutter(self)
        return cut_views(
            lambda size, vfov: cut(scan, viewpoint, size, vfov), self.geometry, self.image_size
        )

    def load(self, viewpoint: tuple[str, str]) -> np.ndarray | None:
        """Views of a (scan, viewpoint), or None if its skybox is damaged and may be left out.

        Raises:
            KeyError, FileNotFoundError, DamagedSkyboxError: as for `views`.
        """
        try:
            return self.views(*viewpoint)
        except DamagedSkyboxError as error:
            if not self.skip_damaged:
                raise
            _LOG.warning("left out %s of %s: %s", viewpoint[1], viewpoint[0], error)
            return None

    def pool(self, workers: int) -> Executor:
        """What should make views beside the encoder.

        Decoding JPEGs and sampling leave the interpreter's lock, so skyboxes are read by threads.
        Tracing rays does not, and habitat-sim may end its process: these get processes.
        """
        if self.world == "matterport":
            return ThreadPoolExecutor(workers)
        return WorkerPool(workers, _use_one_thread)

    @property
    def metadata(self) -> dict[str, object]:
        """What a feature store records of where its pictures come from."""
        found: dict[str, object] = {"world": self.world, "vfov_degrees": round(np.degrees(VFOV))}
        if self.world in _RENDERED:
            found["panorama_width"] = self.width
        if self.world == "matterport":
            found["skybox_faces"] = f"{'full' if self.full_faces else 'downsized'} preferred"
        return {**found, **geometry_metadata(self.geometry)}


# Panoramas of the last source; a process or a thread pool serves one.
@lru_cache(maxsize=1)
def _cutter(source: ViewSource) -> _WorldCutter:
    if source.world in _RENDERED:
        return _house_cutter(source)
    if source.world not in get_args(SourceWorld):
        raise ValueError(f"world {source.world!r} is none of {', '.join(get_args(SourceWorld))}")
    if source.pictures is None:
        raise ValueError(f"world '{source.world}' needs the folder of its pictures")
    if source.world == "habitat":
        from envs.panoramas.habitat_panoramas import HabitatPanoramas

        return HabitatPanoramas(
            source.pictures, source.connectivity_dir, gpu_device_id=source.gpu_device_id
        ).views36
    if source.connectivity_dir is None:
        raise ValueError("world 'matterport' needs the folder of its navigation graphs")
    from envs.panoramas.matterport_panoramas import MatterportPanoramas

    return MatterportPanoramas(
        source.pictures, source.connectivity_dir, full=source.full_faces
    ).views36


def _house_cutter(source: ViewSource) -> _WorldCutter:
    from envs.houses.rendering.house_panoramas import HousePanoramas
    from envs.panoramas.views import rows_seen, views36

    panoramas = HousePanoramas(connectivity_dir=source.connectivity_dir, width=source.width)

    def cut(scan: str, viewpoint: str, size: tuple[int, int], vfov: float) -> np.ndarray:
        rows = rows_seen(source.width, size, vfov)
        return views36(panoramas.panorama(scan, viewpoint, rows).rgb, size, vfov)

    return cut


def _use_one_thread() -> None:
    # Heeded by torch, which loads later and only in the processes that need it.
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
