"""Images of the built-in houses, with the visible things read from object ids and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.views.captions import SYNONYMS, pick
from clipnav.envs.houses.views.view_facts import COLOURLESS, THING_MAY, UNMENTIONED, view_facts
from clipnav.storage import atomic_write
from clipnav.vl_tasks.data.images import coco_name

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.models.scene import ObjectInfo
    from clipnav.envs.panoramas.ray_tracer import Hits, RayTracer

_IMAGE_TAG = 61
# Minimum share of the image that a clearly visible thing covers. Below THING_MAY a thing counts as
# absent; no question is about things between the two limits.
CLEAR = 0.01
_COLOUR_AREA = 0.02  # minimum share of the image that a thing covers whose colour is mentioned
# Categories whose recorded colour is that of another part: of the stand of a television, of the
# cupboard of a sink or below a worktop, of a towel, of a coat.
_OTHER_PART = frozenset(
    ("tv stand", "kitchen sink", "washbasin", "kitchen counter", "towel rail", "coat rack")
)
_COLOURLESS = COLOURLESS | _OTHER_PART
# Names of things that a common name can mean as well.
_NARROWER = {"door": ("front door", "closed door"), "chair": ("armchair", "office chair")}
# Synonyms by name, without the plural "drapes".
_SYNONYMS_BY_NAME = {
    words[0]: tuple(word for word in words if not word.endswith("s")) or words
    for words in SYNONYMS.values()
}
_MIN_RATIO, _MIN_GAP = 1.3, 0.6  # minimum ratio and difference (metres) of compared distances
_EXTRA_POSITIONS = 40  # per house, on edges between viewpoints
_SEEN_POSITIONS = 5  # every fifth position of a training house is reserved for val_seen
_PREVIEW_SIZE = 48  # pixels; a preview decides whether an image is rendered in full size
_EMPTY_KEPT = 0.15  # probability of keeping an image that shows fewer than two things
_ELEVATIONS = (-0.35, 0.05)  # radians
_VFOVS = (1.0, 1.25)
_JPEG_QUALITY = 92


def thing_name(category: str) -> str:
    """Return the name of things of a category, such as "television" for "tv stand"."""
    return SYNONYMS.get(category, (category,))[0]


def pick_synonym(name: str, rng: np.random.Generator) -> str:
    """Return the name of a thing or room, or a synonym of it, at random."""
    return pick(_SYNONYMS_BY_NAME.get(name, (name,)), rng)


@dataclass(frozen=True, slots=True)
class Thing:
    """A visible thing in an image.

    Attributes:
        name: Common name of its category.
        colour: Name of the colour; "" if captions do not mention it.
        area: Share of the image that it covers.
        across: Horizontal position of its centre, from -1 (left edge) to 1 (right edge).
        distance: Mean distance in metres.
        object_id: Index of the object in the scene of the house.
        box: Left, top, width and height in pixels of its bounding box.
        room: Kind of the room that it is in; "" between rooms.
    """

    name: str
    colour: str
    area: float
    across: float
    distance: float
    object_id: int = -1
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    room: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether the thing is clearly visible."""
        return self.area >= CLEAR

    @property
    def has_clear_colour(self) -> bool:
        """Whether the thing has a colour and is large enough to see it."""
        return bool(self.colour) and self.area >= _COLOUR_AREA

    def is_nearer(self, other: Thing) -> bool:
        """Return whether the thing is clearly nearer than another one."""
        return other.distance > max(self.distance * _MIN_RATIO, self.distance + _MIN_GAP)


@dataclass(frozen=True, slots=True)
class HouseImage:
    """An image of a house.

    Attributes:
        image_id: Id of the image, unique over all splits.
        file: File name.
        scan: Name of the house.
        things: Visible furniture and fittings, the largest first.
        room: Kind of the room that is clearly visible; "" if there is none.
        rooms: Kinds of rooms that may be visible.
    """

    image_id: int
    file: str
    scan: str
    things: tuple[Thing, ...]
    room: str
    rooms: frozenset[str]

    def meant(self, name: str) -> list[Thing]:
        """Return the things, of any size, that a name can mean: a front door is a door, too."""
        names = {name, *_NARROWER.get(name, ())}
        return [thing for thing in self.things if thing.name in names]

    def single(self, name: str) -> Thing | None:
        """Return the only thing that a name can mean if it has this name and is clearly visible."""
        things = self.meant(name)
        is_single = len(things) == 1 and things[0].name == name and things[0].is_clear
        return things[0] if is_single else None

    @property
    def clear(self) -> list[Thing]:
        """Clearly visible things, the largest first."""
        return [thing for thing in self.things if thing.is_clear]

    @property
    def singles(self) -> list[Thing]:
        """Clearly visible things whose name is unique in the image."""
        return [thing for thing in self.things if self.single(thing.name) is thing]


@dataclass(frozen=True)
class ImagePlan:
    """Images to render in one house.

    Attributes:
        scan: Name of the house.
        split: Split, which is part of the file names.
        seen: Whether to use the positions of "val_seen" (True), the other ones (False) or all
            (None).
        first_id: Image id of the first image.
        count: Number of images.
        size: Height and width in pixels.
        seed: Random seed.
    """

    scan: str
    split: str
    seen: bool | None
    first_id: int
    count: int
    size: int
    seed: int


def render_images(images: Path, plan: ImagePlan) -> list[HouseImage]:
    """Render the images of one house into the folder of their split; build a missing house."""
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.houses.rendering.training_panoramas import standing_positions
    from clipnav.envs.panoramas.ray_tracer import RayTracer

    house = HousePanoramas().house(plan.scan)
    positions, _ = standing_positions(house, _EXTRA_POSITIONS)
    number = np.arange(len(positions))
    if plan.seen is not None:
        positions = positions[(number % _SEEN_POSITIONS == 0) == plan.seen]
    tag = list(plan.scan.encode()) + list(plan.split.encode())
    rng = np.random.default_rng([plan.seed, _IMAGE_TAG, *tag])
    folder = images / plan.split
    folder.mkdir(parents=True, exist_ok=True)
    camera = _Camera(house, RayTracer(house.scene))
    return [
        camera.render(positions, plan, plan.first_id + k, folder, rng) for k in range(plan.count)
    ]


class _Camera:
    def __init__(self, house: House, tracer: RayTracer) -> None:
        self._house = house
        self._tracer = tracer
        self._kinds = [room.kind for room in house.plan.rooms]

    def render(
        self,
        positions: np.ndarray,
        plan: ImagePlan,
        image_id: int,
        folder: Path,
        rng: np.random.Generator,
    ) -> HouseImage:
        """Render one image at a random position that shows two things, or rarely fewer."""
        from PIL import Image

        while True:
            position = positions[rng.integers(len(positions))]
            direction = (
                float(rng.uniform(-np.pi, np.pi)),
                float(rng.uniform(*_ELEVATIONS)),
                float(rng.uniform(*_VFOVS)),
            )
            keep_empty = rng.random() < _EMPTY_KEPT
            preview = self._trace(position, direction, _PREVIEW_SIZE)
            names = {thing.name for thing in self._things(preview) if thing.is_clear}
            if len(names) >= 2 or keep_empty:
                break
        size = plan.size
        hits = self._trace(position, direction, size)
        name = coco_name(plan.split, image_id)
        with atomic_write(folder / name) as beside:
            image = Image.fromarray(hits.rgb.reshape(size, size, 3))
            image.save(beside, quality=_JPEG_QUALITY)
        ids = hits.object_id.reshape(size, size)
        facts = view_facts(ids, self._house.scene.objects, self._kinds)
        rooms = frozenset(fact[1] for fact in facts.may_hold if fact[0] in ("room", "glimpse"))
        room = next((fact[1] for fact in sorted(facts.holds) if fact[0] == "room"), "")
        return HouseImage(image_id, name, plan.scan, tuple(self._things(hits)), room, rooms)

    def _trace(
        self, position: np.ndarray, direction: tuple[float, float, float], size: int
    ) -> Hits:
        from clipnav.envs.panoramas.cameras import perspective_camera, render

        heading, elevation, vfov = direction
        camera = perspective_camera((size, size), heading, elevation, vfov)
        return render(self._tracer, position, camera, (size, size), vfov / size)

    def _things(self, hits: Hits) -> list[Thing]:
        size = round(len(hits.object_id) ** 0.5)
        return visible_things(
            hits.object_id.reshape(size, size),
            hits.distance.reshape(size, size),
            self._house.scene.objects,
            self._kinds,
        )


def visible_things(
    object_id: np.ndarray,
    distance: np.ndarray,
    objects: Sequence[ObjectInfo],
    kinds: list[str],
) -> list[Thing]:
    """Return the visible things of an image, the largest first.

    Args:
        object_id: (H, W) indices into `objects`, -1 for the sky.
        distance: (H, W) metres.
    """
    inside = object_id >= 0
    ids = object_id[inside]
    across = np.broadcast_to(np.linspace(-1, 1, object_id.shape[1]), object_id.shape)[inside]
    counts = np.bincount(ids, minlength=len(objects))
    centre = np.bincount(ids, across, len(objects)) / np.maximum(counts, 1)
    mean_distance = np.bincount(ids, distance[inside], len(objects)) / np.maximum(counts, 1)
    area = counts / object_id.size

    def box(mask: np.ndarray) -> tuple[int, int, int, int]:
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        left, top = int(columns[0]), int(rows[0])
        return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top

    return [
        Thing(
            name=thing_name(objects[k].category),
            colour="" if objects[k].category in _COLOURLESS else objects[k].colour,
            area=float(area[k]),
            across=float(centre[k]),
            distance=float(mean_distance[k]),
            object_id=k,
            box=box(object_id == k),
            room=kinds[objects[k].room] if objects[k].room >= 0 else "",
        )
        for k in np.argsort(-area, kind="stable").tolist()
        if area[k] >= THING_MAY and objects[k].category not in UNMENTIONED
    ]
