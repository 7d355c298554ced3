"""Boxes of the objects that are visible from the viewpoints of a house, in the form of REVERIE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.language.sight import SPOKEN_NOUNS
from clipnav.envs.houses.views.view_facts import UNMENTIONED
from clipnav.envs.panoramas.views import MATTERSIM_SIZE, views36_nearest

if TYPE_CHECKING:
    from clipnav.envs.models.scene import ObjectInfo

REACH = 3.0  # metres; REVERIE has boxes of nearer objects only
_VISIBLE_SHARE = 0.005  # smallest share of the pixels of some view
_SCALE = 4  # pixels of a view of 640 x 480 per pixel in which objects are found
_FEWEST = 6  # smaller specks of an object in a view have no box

# Left, top, width and height in pixels of a view of 640 x 480, by the view 0..35.
Boxes = dict[int, tuple[int, int, int, int]]


@dataclass(frozen=True)
class Looks:
    """What can be seen of a house.

    Attributes:
        boxes: Boxes of each object by its index, at each viewpoint.
        nouns: Name of each object.
    """

    boxes: dict[str, dict[int, Boxes]]
    nouns: tuple[str, ...]

    def viewpoints(self, thing: int) -> list[str]:
        """Return the viewpoints that see an object."""
        return [viewpoint for viewpoint, seen in self.boxes.items() if thing in seen]

    def records(self, scan: str) -> dict[str, dict[str, dict[str, object]]]:
        """Return the content of DUET's BBoxes.json."""
        return {
            f"{scan}_{viewpoint}": {
                str(thing): {
                    "name": self.nouns[thing],
                    "visible_pos": list(boxes),
                    "bbox2d": [list(box) for box in boxes.values()],
                }
                for thing, boxes in seen.items()
            }
            for viewpoint, seen in self.boxes.items()
        }


def noun_of(thing: ObjectInfo) -> str:
    """Return the name of an object: the noun of texts, or its category if texts never name it."""
    return SPOKEN_NOUNS.get(thing.category, (thing.category, 0.0))[0]


def visible_boxes(
    ids: np.ndarray, distances: np.ndarray, objects: tuple[ObjectInfo, ...]
) -> dict[int, Boxes]:
    """Return the boxes of the visible objects of a viewpoint.

    Args:
        ids: (H, 2H) object ids of a panorama, -1 for the sky.
        distances: (N,) metres to the visible part of each object.
    """
    from scipy.ndimage import find_objects

    size = MATTERSIM_SIZE[0] // _SCALE, MATTERSIM_SIZE[1] // _SCALE
    views = views36_nearest(ids, size)
    count = len(objects)
    pixels = np.stack([np.bincount(v.ravel() + 1, minlength=count + 1)[1:] for v in views])
    is_near = distances < REACH
    is_thing = np.array([thing.category not in UNMENTIONED for thing in objects])
    shares = pixels.max(0) / (size[0] * size[1])
    visible = np.flatnonzero(is_near & is_thing & (shares >= _VISIBLE_SHARE)).tolist()
    found: dict[int, Boxes] = {thing: {} for thing in visible}
    for number, view in enumerate(views):
        slices = find_objects(view + 1, count)
        for thing in visible:
            if pixels[number, thing] >= _FEWEST:
                down, across = slices[thing]
                left, top = _SCALE * across.start, _SCALE * down.start
                width, height = _SCALE * across.stop - left, _SCALE * down.stop - top
                found[thing][number] = (left, top, width, height)
    return found
