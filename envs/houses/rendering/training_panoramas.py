"""Panoramas of built-in houses as arrays on disk, from which the house CLIP's views are cut.

Besides the viewpoints of the navigation graph, positions along its edges are rendered: a walker
could stand there too, and more positions in few houses make a better encoder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.houses.building.house import house_cache_dir, is_saved
from envs.houses.building.sets import set_of
from envs.houses.meshes.scene import ObjectInfo
from storage import atomic_write, write_text
from storage.json_files import read_json
from storage.locks import sole_maker
from storage.processes import run_jobs
from training.interruption import interruption_message

if TYPE_CHECKING:
    from envs.houses.building.house import House

DESCRIPTION = "house.json"  # within the folder of a house, written last
POSITION_TAG = 51
_FARTHEST = 60.0  # metres; keeps the sky's infinite depth out of means


@dataclass(frozen=True, eq=False)
class HousePictures:
    """P panoramas of one house, memory-mapped.

    Attributes:
        scan: Name of the house.
        rgb: (P, H, 2H, 3) uint8.
        object_id: (P, H, 2H) int16 indices into `objects`, -1 for the sky.
        depth: (P, H, 2H) float16 metres along the ray.
        viewpoints: How many of the P, the first ones, stand at viewpoints of the graph.
        objects: The things in the house.
        room_kinds: Kind of each room that `ObjectInfo.room` names.
    """

    scan: str
    rgb: np.ndarray
    object_id: np.ndarray
    depth: np.ndarray
    viewpoints: int
    objects: tuple[ObjectInfo, ...]
    room_kinds: tuple[str, ...]


def render_houses(
    scans: Sequence[str], folder: Path, extra: int, width: int, workers: int = 1
) -> list[HousePictures]:
    """Render panoramas of houses, or take what an earlier call left in the folder; shows a bar.

    What is older than the house or its graph is rendered anew.

    Args:
        scans: Built-in houses; those that are not in the cache of houses are built.
        folder: Where the arrays lie, one folder a house.
        extra: Positions along edges of the graph, beside its viewpoints.
        width: Columns of a panorama.
        workers: Processes; the result does not depend on their number.

    Raises:
        ChildProcessError: A process was killed.
    """
    from tqdm import tqdm

    folders = {scan: folder / f"{scan}-{width}-{extra}" for scan in scans}
    missing = [scan for scan in scans if not _is_current(folders[scan], scan)]
    jobs = [(scan, folders[scan], extra, width) for scan in missing]
    done = run_jobs(_render_house, jobs, workers, "renders")
    with interruption_message(
        lambda: (
            f"Houses that are finished are kept in {folder}; the same command renders the others"
        )
    ):
        for _ in tqdm(done, total=len(jobs), desc="rendering", unit="house", disable=not jobs):
            pass
    return [read_pictures(folders[scan]) for scan in scans]


def _is_current(folder: Path, scan: str) -> bool:
    """Whether a folder has the panoramas of a house as it is now."""
    home, cache, description = set_of(scan), house_cache_dir(), folder / DESCRIPTION
    if not (description.is_file() and is_saved(home.specs[scan], cache)):
        return False
    sources = (cache / f"{scan}.json", home.connectivity_dir / f"{scan}_connectivity.json")
    rendered = description.stat().st_mtime
    return all(rendered > source.stat().st_mtime for source in sources)


def _render_house(job: tuple[str, Path, int, int]) -> None:
    """Render the panoramas of one house into a folder; see `render_houses`."""
    scan, folder, _, _ = job
    folder.mkdir(parents=True, exist_ok=True)
    with sole_maker(folder):
        if not _is_current(folder, scan):
            _render_into(job)


def _render_into(job: tuple[str, Path, int, int]) -> None:
    from envs.houses.rendering.house_panoramas import HousePanoramas
    from envs.panoramas.panorama import render_panorama

    scan, folder, extra, width = job
    source = HousePanoramas(width=width)
    house, tracer = source.house(scan), source.tracer(scan)
    positions, viewpoints = standing_positions(house, extra)
    size = (len(positions), width // 2, width)
    # What lay there is of another house or graph now, and must not pass for this one's.
    (folder / DESCRIPTION).unlink(missing_ok=True)
    rgb = np.empty((*size, 3), np.uint8)
    object_id = np.empty(size, np.int16)
    depth = np.empty(size, np.float16)
    for number, position in enumerate(positions):
        panorama = render_panorama(tracer, position, width)
        rgb[number] = panorama.rgb
        object_id[number] = panorama.object_id
        depth[number] = np.minimum(panorama.depth, _FARTHEST)
    for name, array in (("rgb", rgb), ("object_id", object_id), ("depth", depth)):
        # Not through a memory map, whose process dies where the disk is full.
        with atomic_write(folder / f"{name}.npy") as beside:
            np.save(beside, array)
    _write_description(folder, house, viewpoints)


def standing_positions(house: House, extra: int) -> tuple[np.ndarray, int]:
    """Where a walker may stand: at the included viewpoints, then at points between neighbours.

    Returns:
        (P, 3) metres, and how many of them are viewpoints.
    """
    from connectivity import read_connectivity

    scan = house.spec.scan
    records = read_connectivity(scan, set_of(scan).connectivity_dir)
    poses = np.array([record["pose"] for record in records], float).reshape(-1, 4, 4)[:, :3, 3]
    included = np.array([record["included"] for record in records], bool)
    edges = np.array([record["unobstructed"] for record in records], bool)
    first, second = np.nonzero(np.triu(edges & included & included[:, None], 1))
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, POSITION_TAG])
    chosen = rng.integers(len(first), size=extra)
    part = rng.uniform(0.25, 0.75, (extra, 1))
    between = (1 - part) * poses[first[chosen]] + part * poses[second[chosen]]
    return np.concatenate([poses[included], between]), int(included.sum())


def read_pictures(folder: Path) -> HousePictures:
    """Map the arrays that `render_houses` wrote."""
    described = read_json(folder / DESCRIPTION, "delete the folder to have it rendered again")
    arrays: dict[str, Any] = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("rgb", "object_id", "depth")
    }
    return HousePictures(
        scan=described["scan"],
        viewpoints=described["viewpoints"],
        objects=tuple(map(ObjectInfo.from_dict, described["objects"])),
        room_kinds=tuple(described["room_kinds"]),
        **arrays,
    )


def _write_description(folder: Path, house: House, viewpoints: int) -> None:
    """Written last: its presence says that the arrays are complete."""
    described = {
        "scan": house.spec.scan,
        "viewpoints": viewpoints,
        "objects": [asdict(thing) for thing in house.scene.objects],
        "room_kinds": [room.kind for room in house.plan.rooms],
    }
    write_text(folder / DESCRIPTION, json.dumps(described))
