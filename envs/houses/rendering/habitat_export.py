"""The built-in houses as 3D models that habitat-sim opens."""

from collections.abc import Iterable
from pathlib import Path

from clipnav.envs.houses.building.house import house_cache_dir
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.panoramas.habitat_panoramas import write_scene_dataset


def export_houses(scans: Iterable[str]) -> Path:
    """Build missing houses, write the stage configurations of all, and return their folder."""
    scans, houses = list(scans), HousePanoramas()
    for scan in scans:
        houses.house(scan)
    write_scene_dataset(house_cache_dir(), scans)
    return house_cache_dir()
