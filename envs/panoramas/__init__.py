"""Where pictures come from, and how a panorama is cut into the 36 views of R2R."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from envs.panoramas.panorama import Panorama, render_panorama
from envs.panoramas.views import perspective, view_direction, views36, views36_nearest

if TYPE_CHECKING:
    from envs.panoramas.house_panoramas import HousePanoramas

__all__ = [
    "Panorama",
    "panorama",
    "perspective",
    "render_panorama",
    "view_direction",
    "views36",
    "views36_nearest",
]


def panorama(scan: str, viewpoint: str) -> Panorama:
    """Panorama (512, 1024) of a viewpoint of the built-in houses; the house is built if needed.

    Keep a `HousePanoramas` instead where another size, cache folder or set of houses is wanted.
    """
    return _built_in_houses().panorama(scan, viewpoint)


@lru_cache(maxsize=1)
def _built_in_houses() -> HousePanoramas:
    from envs.panoramas.house_panoramas import HousePanoramas

    return HousePanoramas()
