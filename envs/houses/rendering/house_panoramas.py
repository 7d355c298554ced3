"""Panoramas of built-in houses by scan and viewpoint; houses are built when first needed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from connectivity import read_connectivity
from envs.houses.building.house import (
    House,
    HouseSpec,
    ensure_house,
    house_cache_dir,
    is_saved,
    load_house,
)
from envs.houses.building.sets import HOUSE_SETS, set_of
from envs.panoramas.panorama import Panorama, render_panorama
from envs.panoramas.ray_tracer import RayTracer

_LOG = logging.getLogger(__name__)
_TRACERS_KEPT = 2


class HousePanoramas:
    """Renders what a viewpoint of a built-in house sees.

    Args:
        specs: seeds and options of each scan; None means the houses of all built-in sets.
        cache_dir: where built houses are kept; None means `house_cache_dir()`.
        connectivity_dir: where the navigation graphs lie; None means those of each house's set.
        width: columns of a panorama; it has half as many rows.
    """

    def __init__(
        self,
        specs: Mapping[str, HouseSpec] | None = None,
        cache_dir: Path | None = None,
        connectivity_dir: Path | None = None,
        width: int = 1024,
    ):
        if specs is None:
            specs = {scan: spec for one in HOUSE_SETS.values() for scan, spec in one.specs.items()}
        self._specs = specs
        self._cache_dir = cache_dir or house_cache_dir()
        self._connectivity_dir = connectivity_dir
        self._width = width
        self._poses: dict[str, dict[str, np.ndarray]] = {}
        self._tracer = lru_cache(_TRACERS_KEPT)(self._make_tracer)

    def panorama(self, scan: str, viewpoint: str, rows: slice | None = None) -> Panorama:
        """RGB, depth and object ids seen from a viewpoint, of `rows` only if they are named.

        Raises:
            KeyError: no such scan, or no such viewpoint in its navigation graph.
        """
        position = self.position(scan, viewpoint)
        return render_panorama(self._tracer(scan), position, self._width, rows)

    def position(self, scan: str, viewpoint: str) -> np.ndarray:
        """(3,) metres: the camera of a viewpoint, from the pose in the navigation graph."""
        if scan not in self._poses:
            directory = self._connectivity_dir or set_of(scan).connectivity_dir
            records = read_connectivity(scan, directory)
            self._poses[scan] = {
                record["image_id"]: np.array(record["pose"], float).reshape(4, 4)[:3, 3]
                for record in records
            }
        if viewpoint not in self._poses[scan]:
            raise KeyError(f"{scan}_connectivity.json has no viewpoint {viewpoint!r}")
        return self._poses[scan][viewpoint]

    def house(self, scan: str) -> House:
        """The house from the cache; built and stored there first if it is not in it.

        Raises:
            KeyError: no such scan.
        """
        if scan not in self._specs:
            raise KeyError(f"no built-in house is called {scan!r}; there are {len(self._specs)}")
        spec = self._specs[scan]
        if not is_saved(spec, self._cache_dir):
            _LOG.info("building %s into %s (about 15 s, once)", scan, self._cache_dir)
            ensure_house(spec, self._cache_dir)
        return load_house(scan, self._cache_dir)

    def tracer(self, scan: str) -> RayTracer:
        """Ray tracer of a house; those of the last few houses are kept."""
        return self._tracer(scan)

    def _make_tracer(self, scan: str) -> RayTracer:
        return RayTracer(self.house(scan).scene)


def panorama(scan: str, viewpoint: str) -> Panorama:
    """Panorama (512, 1024) of a viewpoint of the built-in houses; the house is built if needed.

    Keep a `HousePanoramas` instead where another size, cache folder or set of houses is wanted.
    """
    return _built_in_houses().panorama(scan, viewpoint)


@lru_cache(maxsize=1)
def _built_in_houses() -> HousePanoramas:
    return HousePanoramas()
