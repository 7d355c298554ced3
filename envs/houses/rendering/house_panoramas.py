"""Panoramas of built-in houses by scan and viewpoint; houses are built on first access."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from clipnav.connectivity import read_connectivity
from clipnav.envs.houses.building.house import (
    House,
    HouseSpec,
    ensure_house,
    house_cache_dir,
    is_saved,
    load_house,
)
from clipnav.envs.houses.building.sets import HOUSE_SETS, set_of
from clipnav.envs.panoramas.panorama import Panorama, render_panorama
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.storage.errors import UnknownNameError

_LOG = logging.getLogger(__name__)
_TRACERS_KEPT = 2


class HousePanoramas:
    """Renderer of panoramas at the viewpoints of built-in houses."""

    def __init__(
        self,
        specs: Mapping[str, HouseSpec] | None = None,
        cache_dir: Path | None = None,
        connectivity_dir: Path | None = None,
        width: int = 1024,
        announce: Callable[[str], None] = _LOG.info,
    ):
        if specs is None:
            specs = {scan: spec for s in HOUSE_SETS.values() for scan, spec in s.specs.items()}
        self._specs = specs
        self._cache_dir = cache_dir or house_cache_dir()
        self._connectivity_dir = connectivity_dir
        self._width = width
        self._announce = announce
        self._poses: dict[str, dict[str, np.ndarray]] = {}
        self._tracer = lru_cache(_TRACERS_KEPT)(self._make_tracer)

    def panorama(self, scan: str, viewpoint: str, rows: slice | None = None) -> Panorama:
        """Render RGB, depth and object ids at a viewpoint, optionally of some `rows` only."""
        position = self.position(scan, viewpoint)
        return render_panorama(self._tracer(scan), position, self._width, rows)

    def position(self, scan: str, viewpoint: str) -> np.ndarray:
        """Return the camera position (3,) in metres of a viewpoint from the navigation graph."""
        if scan not in self._poses:
            directory = self._connectivity_dir or set_of(scan).connectivity_dir
            records = read_connectivity(scan, directory)
            self._poses[scan] = {
                record["image_id"]: np.array(record["pose"], float).reshape(4, 4)[:3, 3]
                for record in records
            }
        if viewpoint not in self._poses[scan]:
            raise UnknownNameError(f"{scan}_connectivity.json has no viewpoint {viewpoint!r}")
        return self._poses[scan][viewpoint]

    def house(self, scan: str) -> House:
        """Return a house from the cache; build it there first if it is missing."""
        if scan not in self._specs:
            raise UnknownNameError(
                f"no built-in house is named {scan!r}; use one of the house sets"
            )
        spec = self._specs[scan]
        if not is_saved(spec, self._cache_dir):
            self._announce(f"building {scan} into {self._cache_dir} (about 6 s, once)")
            ensure_house(spec, self._cache_dir)
        return load_house(scan, self._cache_dir)

    def tracer(self, scan: str) -> RayTracer:
        """Return the ray tracer of a house; those of the last few houses are cached."""
        return self._tracer(scan)

    def _make_tracer(self, scan: str) -> RayTracer:
        return RayTracer(self.house(scan).scene)


def print_to_stderr(message: str) -> None:
    """Report slow work on standard error, without disturbing progress bars."""
    from tqdm import tqdm

    tqdm.write(message, file=sys.stderr)
