"""Panoramas of built-in houses as arrays on disk, the source of training views of house_clip.

Positions along the edges of the navigation graph are rendered besides its viewpoints, because more
positions in few houses make a better encoder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.building.house import house_cache_dir, is_saved
from clipnav.envs.houses.building.sets import set_of
from clipnav.envs.models.scene import ObjectInfo
from clipnav.storage import atomic_write, write_text
from clipnav.storage.errors import UserError, in_one_line
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar
from clipnav.training.interruption import interruption_message

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House

DESCRIPTION = "house.json"  # in the folder of a house, written last
_POSITION_TAG = 51
_ARRAYS = ("rgb", "object_id", "depth")
_HINT = "delete its folder; the next run renders it again"
_FARTHEST = 60.0  # maximum depth in metres, so that the sky's infinite depth is not in means


@dataclass(frozen=True, eq=False)
class HousePictures:
    """Memory-mapped panoramas of one house at P positions.

    Attributes:
        scan: Name of the house.
        rgb: (P, H, 2H, 3) uint8.
        object_id: (P, H, 2H) int16 indices into `objects`, -1 for the sky.
        depth: (P, H, 2H) float16 metres along the ray.
        viewpoints: Number of leading positions that are viewpoints of the graph.
        objects: The objects in the house.
        room_kinds: Kind of each room by `ObjectInfo.room`.
    """

    scan: str
    rgb: np.ndarray
    object_id: np.ndarray
    depth: np.ndarray
    viewpoints: int
    objects: tuple[ObjectInfo, ...]
    room_kinds: tuple[str, ...]


def render_houses(
    scans: Sequence[str], folder: Path, counts: tuple[int, int], width: int, workers: int = 1
) -> list[HousePictures]:
    """Render panoramas of houses, or reuse those in the folder; show a progress bar.

    Panoramas that are older than the house or its graph are rendered again.

    Args:
        counts: Maximum number of viewpoints, and number of positions between viewpoints, of a
            house.
    """
    folders = {scan: folder / "-".join(map(str, (scan, width, *counts))) for scan in scans}
    missing = [scan for scan in scans if not _is_current(folders[scan], scan)]
    jobs = [(scan, folders[scan], counts, width) for scan in missing]
    done = run_jobs(_render_house, jobs, workers, "renders")
    with interruption_message(
        lambda: f"Finished houses are kept in {folder}; run the same command to render the others"
    ):
        for _ in progress_bar(
            done, total=len(jobs), desc="rendering", unit="houses", disable=not jobs
        ):
            pass
    return [read_pictures(folders[scan]) for scan in scans]


def _is_current(folder: Path, scan: str) -> bool:
    """Return whether a folder has up-to-date panoramas of a house."""
    house_set, cache, description = set_of(scan), house_cache_dir(), folder / DESCRIPTION
    if not (description.is_file() and is_saved(house_set.specs[scan], cache)):
        return False
    sources = (cache / f"{scan}.json", house_set.connectivity_dir / f"{scan}_connectivity.json")
    rendered = description.stat().st_mtime
    return all(rendered > source.stat().st_mtime for source in sources)


def _render_house(job: tuple[str, Path, tuple[int, int], int]) -> None:
    """Render the panoramas of one house into a folder; see `render_houses`."""
    scan, folder, _, _ = job
    folder.mkdir(parents=True, exist_ok=True)
    with waiting_lock(folder):
        if not _is_current(folder, scan):
            _render_into(job)


def _render_into(job: tuple[str, Path, tuple[int, int], int]) -> None:
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.panoramas.panorama import render_panorama

    scan, folder, (most, extra), width = job
    source = HousePanoramas(width=width)
    house, tracer = source.house(scan), source.tracer(scan)
    positions, viewpoints = standing_positions(house, extra, most)
    size = (len(positions), width // 2, width)
    # Old arrays belong to another house or graph; without a description they are not reused.
    (folder / DESCRIPTION).unlink(missing_ok=True)
    rgb = np.empty((*size, 3), np.uint8)
    object_id = np.empty(size, np.int16)
    depth = np.empty(size, np.float16)
    for k, position in enumerate(positions):
        panorama = render_panorama(tracer, position, width)
        rgb[k] = panorama.rgb
        object_id[k] = panorama.object_id
        depth[k] = np.minimum(panorama.depth, _FARTHEST)
    for name, array in zip(_ARRAYS, (rgb, object_id, depth), strict=True):
        # Do not write through a memory map: a full disk would kill the process.
        with atomic_write(folder / f"{name}.npy") as beside:
            np.save(beside, array)
    description = {
        "scan": house.spec.scan,
        "viewpoints": viewpoints,
        "objects": [asdict(thing) for thing in house.scene.objects],
        "room_kinds": [room.kind for room in house.plan.rooms],
    }
    write_text(folder / DESCRIPTION, json.dumps(description))


def standing_positions(house: House, extra: int, most: int | None = None) -> tuple[np.ndarray, int]:
    """Return camera positions: at most `most` included viewpoints, then points between neighbours.

    Returns:
        (P, 3) metres, and the number of viewpoints among them.
    """
    from clipnav.connectivity import read_connectivity

    scan = house.spec.scan
    records = read_connectivity(scan, set_of(scan).connectivity_dir)
    poses = np.array([record["pose"] for record in records], float).reshape(-1, 4, 4)[:, :3, 3]
    included = np.array([record["included"] for record in records], bool)
    edges = np.array([record["unobstructed"] for record in records], bool)
    first, second = np.nonzero(np.triu(edges & included & included[:, None], 1))
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, _POSITION_TAG])
    chosen = rng.integers(len(first), size=extra)
    part = rng.uniform(0.25, 0.75, (extra, 1))
    between = (1 - part) * poses[first[chosen]] + part * poses[second[chosen]]
    viewpoints = np.sort(rng.permutation(np.flatnonzero(included))[:most])
    return np.concatenate([poses[viewpoints], between]), len(viewpoints)


def read_pictures(folder: Path) -> HousePictures:
    """Memory-map the arrays that `render_houses` wrote."""
    description = read_json(folder / DESCRIPTION, _HINT)
    rgb, object_id, depth = (_map_array(folder / f"{name}.npy") for name in _ARRAYS)
    if not rgb.shape[:-1] == object_id.shape == depth.shape:
        names = ", ".join(f"{name}.npy" for name in _ARRAYS)
        raise UserError(f"{folder}: {names} have different shapes; {_HINT}")
    try:
        return HousePictures(
            scan=description["scan"],
            viewpoints=description["viewpoints"],
            objects=tuple(map(ObjectInfo.from_dict, description["objects"])),
            room_kinds=tuple(description["room_kinds"]),
            rgb=rgb,
            object_id=object_id,
            depth=depth,
        )
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        problem = in_one_line(error)
        raise UserError(f"{folder / DESCRIPTION}: damaged ({problem}); {_HINT}") from error


def _map_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except Exception as error:  # NumPy raises almost any type on a damaged header
        raise UserError(f"{path}: damaged ({in_one_line(error)}); {_HINT}") from error
