"""Descriptions of views in words, from the object ids of the built-in houses."""

from functools import lru_cache

import numpy as np

from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.houses.views.captions import with_article
from clipnav.envs.houses.views.view_facts import ThingInView, things_in_view, view_facts
from clipnav.envs.panoramas.cameras import perspective_camera
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.features.view_grid import VFOV

_SIDE = 64  # pixels
_MOST = 6  # objects in a description
_KEPT, _HOUSES = 4096, 2  # descriptions and houses in memory


class HouseDescriptions:
    """Describes what a camera sees in a built-in house: the room, and objects with distances.

    The words are what a perfect detector would report, see `clipnav.envs.houses.views.view_facts`.
    """

    def __init__(self) -> None:
        self._houses = HousePanoramas()
        self._house = lru_cache(_HOUSES)(self._houses.house)
        self._cached = lru_cache(_KEPT)(self._describe)

    def __call__(self, view: ViewPose) -> str:
        """Describe a view in one sentence."""
        return self._cached(view)

    def _describe(self, view: ViewPose) -> str:
        house, tracer = self._house(view.scan), self._houses.tracer(view.scan)
        camera = perspective_camera((_SIDE, _SIDE), view.heading, view.elevation, VFOV)
        centres = np.arange(_SIDE) + 0.5
        rays = camera(centres[None, :], centres[:, None]).reshape(-1, 3)
        position = self._houses.position(view.scan, view.viewpoint)
        hits = tracer.trace(position, rays, VFOV / _SIDE)
        ids = hits.object_id.reshape(_SIDE, _SIDE)
        depth = hits.distance.reshape(_SIDE, _SIDE)
        objects = house.scene.objects
        facts = view_facts(ids, objects, [room.kind for room in house.plan.rooms], depth)
        things = [thing for thing in things_in_view(ids, objects, depth) if thing.is_clear]
        things.sort(key=lambda thing: -thing.area)
        seen = ", ".join(map(_words, things[:_MOST])) or "bare walls"
        return f"{with_article(facts.room)}: {seen}" if facts.room else seen


def _words(thing: ThingInView) -> str:
    name = with_article(f"{thing.colour} {thing.category}".strip())
    return name if np.isnan(thing.distance) else f"{name} at {thing.distance:.1f} m"
