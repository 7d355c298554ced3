"""The views of any world's viewpoints, from an object that can be sent to other processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.encoders.extraction.arguments import HOUSE_LABELS, HOUSE_SETS_OF_WORLDS, SourceWorld
from clipnav.envs.houses.views.view_facts import Fact, ViewFacts, view_facts
from clipnav.envs.panoramas.skyboxes import DamagedSkyboxError, skybox_files
from clipnav.envs.panoramas.views import VFOV, Geometry, cut_views, geometry_metadata
from clipnav.storage.errors import UserError
from clipnav.storage.processes import WorkerPool

if TYPE_CHECKING:
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas

_LOG = logging.getLogger(__name__)

# Returns the views of (scan, viewpoint) for a size (height, width) and a vertical field of view.
_WorldCutter = Callable[[str, str, tuple[int, int], float], np.ndarray]
WIDTH = 256
_KINDS = ("room", "glimpse", "thing")


@dataclass(frozen=True)
class ViewSource:
    """Source and geometry of views; small and picklable, so that workers can receive it.

    Attributes:
        world: Source of the images. "houses" and "houses-standard" render the built-in houses,
            "matterport" reads skyboxes, "habitat" renders 3D models with habitat-sim.
        geometry: Shape and projection of the views, see `clipnav.envs.panoramas.views`.
        image_size: (height, width) in pixels of the encoder's input.
        width: Columns of the built-in houses' panoramas.
        scan_dir: Folder of the scans' skyboxes ("matterport") or of 3D models ("habitat").
        connectivity_dir: Folder of the navigation graphs; None for the graphs of the built-in
            houses.
        full_faces: Whether full-size skyboxes are preferred to downsized ones.
        skip_damaged: Whether viewpoints with damaged skyboxes are skipped.
        gpu_device_id: CUDA device of "habitat", see `HabitatServer`.
    """

    world: SourceWorld
    geometry: Geometry
    image_size: tuple[int, int]
    width: int = 1024
    scan_dir: Path | None = None
    connectivity_dir: Path | None = None
    full_faces: bool = False
    skip_damaged: bool = False
    gpu_device_id: int | None = None

    def views(self, scan: str, viewpoint: str) -> np.ndarray:
        """Return the views (36, height, width, 3) uint8 of a viewpoint, of `image_size`."""
        cut = _cutter(self)
        return cut_views(
            lambda size, vfov: cut(scan, viewpoint, size, vfov), self.geometry, self.image_size
        )

    def load(self, viewpoint: tuple[str, str]) -> np.ndarray | None:
        """Return the views of a (scan, viewpoint), or None to skip one with a damaged skybox."""
        try:
            return self.views(*viewpoint)
        except DamagedSkyboxError as error:
            if not self.skip_damaged:
                raise
            _LOG.warning("skipped %s of %s: %s", viewpoint[1], viewpoint[0], error)
            return None

    def check_files(self, viewpoints: Sequence[tuple[str, str]]) -> None:
        """Check that each (scan, viewpoint) has its skybox or 3D model, without reading it."""
        if self.scan_dir is None:
            return
        problems = []
        for scan, viewpoint in viewpoints:
            try:
                if self.world == "matterport":
                    skybox_files(self.scan_dir, scan, viewpoint, self.full_faces)
                elif self.world == "habitat":
                    from clipnav.envs.panoramas.habitat_panoramas import scene_file

                    scene_file(self.scan_dir, scan)
            except FileNotFoundError as error:
                problems.append(error)
        if problems:
            kind = "skybox" if self.world == "matterport" else "3D model"
            raise FileNotFoundError(
                f"{problems[0]} ({len(problems)} of {len(viewpoints)} viewpoints without {kind})"
            )

    def pool(self, workers: int) -> Executor:
        """Return the executor that loads views while the encoder works.

        Decoding JPEGs and sampling release the GIL, so threads read skyboxes. Ray tracing does not
        release it, and habitat-sim may terminate its process, so both run in processes.
        """
        if self.world == "matterport":
            return ThreadPoolExecutor(workers)
        return rendering_processes(workers)

    @property
    def metadata(self) -> dict[str, object]:
        """Metadata of the images, as recorded in a feature store."""
        metadata: dict[str, object] = {"world": self.world, "vfov_degrees": round(np.degrees(VFOV))}
        if self.world in HOUSE_SETS_OF_WORLDS:
            metadata["panorama_width"] = self.width
        if self.world == "matterport":
            metadata["skybox_faces"] = f"{'full' if self.full_faces else 'downsized'} preferred"
        return {**metadata, **geometry_metadata(self.geometry)}


# One entry is enough: each process or thread pool serves one source.
@lru_cache(maxsize=1)
def _cutter(source: ViewSource) -> _WorldCutter:
    if source.world in HOUSE_SETS_OF_WORLDS:
        return _house_cutter(source)
    if source.scan_dir is None:
        raise UserError(f"world '{source.world}' requires the folder of its scans; give scan_dir")
    if source.world == "habitat":
        from clipnav.envs.habitat.client import shared_server
        from clipnav.envs.panoramas.habitat_panoramas import HabitatPanoramas

        server = shared_server(gpu_device_id=source.gpu_device_id)
        return HabitatPanoramas(source.scan_dir, source.connectivity_dir, drawer=server).views36
    if source.connectivity_dir is None:
        raise UserError(
            "world 'matterport' requires the folder of its navigation graphs; give connectivity_dir"
        )
    from clipnav.envs.panoramas.matterport_panoramas import MatterportPanoramas

    return MatterportPanoramas(
        source.scan_dir, source.connectivity_dir, full=source.full_faces
    ).views36


def _house_cutter(source: ViewSource) -> _WorldCutter:
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.panoramas.views import rows_seen, views36

    panoramas = HousePanoramas(connectivity_dir=source.connectivity_dir, width=source.width)

    def cut(scan: str, viewpoint: str, size: tuple[int, int], vfov: float) -> np.ndarray:
        rows = rows_seen(source.width, size, vfov)
        return views36(panoramas.panorama(scan, viewpoint, rows).rgb, size, vfov)

    return cut


def rendering_processes(workers: int) -> Executor:
    """Return processes that render the built-in houses, on one thread each."""
    return WorkerPool(workers, _use_one_thread)


def _use_one_thread() -> None:
    # torch reads these when it is imported, which happens later, in the processes that use it.
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")


@dataclass(frozen=True)
class HouseLabels:
    """Features of perfect recognition: what the built-in houses know about each view.

    They bound what an image encoder can recognise: an agent that is trained on them shows how much
    a better encoder could gain. The features of a view are the sum of fixed random directions, one
    for each fact that clearly holds in it: its kind of room, the kinds of rooms that are visible
    through openings, the categories of its objects, and the categories with their colours. Where an
    object is in a view is no part of them.

    Attributes:
        world: "houses" or "houses-standard".
        connectivity_dir: Folder of the navigation graphs; None for those of the built-in houses.
    """

    world: SourceWorld
    connectivity_dir: Path | None = None

    def check_files(self, viewpoints: Sequence[tuple[str, str]]) -> None:
        """Do nothing, because missing houses are built."""

    def load(self, viewpoint: tuple[str, str]) -> np.ndarray:
        """Return the features (36, 256) float32 of the views of a (scan, viewpoint)."""
        from clipnav.envs.houses.rendering.view_objects import view_object_ids

        panoramas, (scan, _) = _panoramas(self), viewpoint
        ids, kinds = view_object_ids(panoramas, *viewpoint), _room_kinds(panoramas, scan)
        objects = panoramas.tracer(scan).scene.objects
        return np.stack([fact_features(view_facts(view, objects, kinds)) for view in ids])

    def pool(self, workers: int) -> Executor:
        """Return the processes that find facts."""
        return rendering_processes(workers)

    @property
    def metadata(self) -> Mapping[str, object]:
        """Metadata of a feature store."""
        from clipnav.envs.houses.rendering.view_objects import PANORAMA_WIDTH, VIEW_SIZE

        return {
            "encoder": HOUSE_LABELS,
            "image_size": [VIEW_SIZE, VIEW_SIZE],
            "world": self.world,
            "panorama_width": PANORAMA_WIDTH,
        }


def fact_features(facts: ViewFacts) -> np.ndarray:
    """Return the features (256,) float32 of a view: the sum of the directions of its facts."""
    known = sorted(fact for fact in facts.holds if fact[0] in _KINDS)
    directions = [_direction(fact) for fact in known]
    return np.array(directions, np.float32).reshape(-1, WIDTH).sum(0)


@cache
def _direction(fact: Fact) -> np.ndarray:
    """Return the direction (256,) float32 of a fact, of length 1, which depends on its words."""
    seed = int.from_bytes(sha256(" ".join(fact).encode()).digest()[:8], "little")
    direction = np.random.default_rng(seed).standard_normal(WIDTH)
    return (direction / np.linalg.norm(direction)).astype(np.float32)


# One entry is enough: each process serves one source, scan by scan.
@lru_cache(maxsize=1)
def _panoramas(source: HouseLabels) -> HousePanoramas:
    from clipnav.envs.houses.rendering.view_objects import object_panoramas

    return object_panoramas(source.connectivity_dir)


@lru_cache(maxsize=2)
def _room_kinds(panoramas: HousePanoramas, scan: str) -> tuple[str, ...]:
    return tuple(room.kind for room in panoramas.house(scan).plan.rooms)
