"""Pictures of the built-in houses, with what they show read off their object ids and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.houses.views.view_facts import COLOURLESS, THING_MAY, UNMENTIONED, view_facts
from storage import atomic_write
from vl_tasks.data.images import coco_name
from vl_tasks.house_tasks.wording import thing_name

if TYPE_CHECKING:
    from envs.houses.building.house import House
    from envs.houses.meshes.scene import ObjectInfo
    from envs.panoramas.ray_tracer import Hits, RayTracer

VIEW_TAG = 61
# Share of the picture from which a thing is plainly there; below THING_MAY it is not there at all,
# and between the two nothing is asked about it.
CLEAR = 0.01
_EXTRA_POSITIONS = 40  # on ways between viewpoints, in each house
_SEEN_POSITIONS = 5  # every fifth position of a training house is kept for val_seen
_GLANCE = 48  # pixels of the picture by which it is decided whether a view is worth drawing
_DULL_KEPT = 0.15
_ELEVATIONS = (-0.35, 0.05)  # radians
_VFOVS = (1.0, 1.25)
_JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing in a picture.

    Attributes:
        name: Of its category, as people say it.
        colour: "" where it has none worth naming.
        area: Share of the picture that it covers.
        across: Its middle: -1 at the left edge, 1 at the right one.
        distance: Mean, in metres.
    """

    name: str
    colour: str
    area: float
    across: float
    distance: float


@dataclass(frozen=True, slots=True)
class View:
    """A picture of a house.

    Attributes:
        image_id: Number of the picture, unique over all splits.
        file: Its name.
        scan: The house.
        things: What it shows, the largest first; furniture and fittings only.
        room: Kind of the room that it plainly shows; "" if it shows none so.
        rooms: Kinds of room that it may show.
    """

    image_id: int
    file: str
    scan: str
    things: tuple[Thing, ...]
    room: str
    rooms: frozenset[str]

    def named(self, name: str) -> list[Thing]:
        """Things of that name, however small."""
        return [thing for thing in self.things if thing.name == name]

    def single(self, name: str) -> Thing | None:
        """The one thing of that name, if it is plain and no other may be."""
        found = self.named(name)
        return found[0] if len(found) == 1 and found[0].area >= CLEAR else None

    @property
    def singles(self) -> list[Thing]:
        """Things that are plain and alone of their name."""
        return [thing for thing in self.things if self.single(thing.name) is thing]


@dataclass(frozen=True)
class ImagePlan:
    """Which pictures to take in one house.

    Attributes:
        scan: The house.
        split: Part of the names of pictures.
        seen: Stand where "val_seen" stands, or, if False, elsewhere; None for everywhere.
        first_id: Image id of the first picture.
        count: How many.
        size: Pixels of a side.
        seed: Of what is drawn.
    """

    scan: str
    split: str
    seen: bool | None
    first_id: int
    count: int
    size: int
    seed: int


def take_pictures(shoot: ImagePlan, folder: Path) -> list[View]:
    """Draw the pictures of one house into a folder; the house is built if it is not cached."""
    from envs.houses.rendering.house_panoramas import HousePanoramas
    from envs.houses.rendering.training_panoramas import standing_positions
    from envs.panoramas.ray_tracer import RayTracer

    house = HousePanoramas().house(shoot.scan)
    positions, _ = standing_positions(house, _EXTRA_POSITIONS)
    number = np.arange(len(positions))
    if shoot.seen is not None:
        positions = positions[(number % _SEEN_POSITIONS == 0) == shoot.seen]
    tag = list(shoot.scan.encode()) + list(shoot.split.encode())
    rng = np.random.default_rng([shoot.seed, VIEW_TAG, *tag])
    folder.mkdir(parents=True, exist_ok=True)
    camera = _Photographer(house, RayTracer(house.scene))
    return [
        camera.take(positions, shoot, shoot.first_id + k, folder, rng) for k in range(shoot.count)
    ]


class _Photographer:
    def __init__(self, house: House, tracer: RayTracer) -> None:
        self._house = house
        self._tracer = tracer
        self._kinds = [room.kind for room in house.plan.rooms]

    def take(
        self,
        positions: np.ndarray,
        shoot: ImagePlan,
        image_id: int,
        folder: Path,
        rng: np.random.Generator,
    ) -> View:
        """One picture, drawn again until it shows something, or now and then a dull one."""
        from PIL import Image

        while True:
            position = positions[rng.integers(len(positions))]
            direction = (
                float(rng.uniform(-np.pi, np.pi)),
                float(rng.uniform(*_ELEVATIONS)),
                float(rng.uniform(*_VFOVS)),
            )
            dull_too = rng.random() < _DULL_KEPT
            glance = self._render(position, direction, _GLANCE)
            names = {thing.name for thing in self._things(glance) if thing.area >= CLEAR}
            if len(names) >= 2 or dull_too:
                break
        size = shoot.size
        hits = self._render(position, direction, size)
        name = coco_name(shoot.split, image_id)
        with atomic_write(folder / name) as beside:
            picture = Image.fromarray(hits.rgb.reshape(size, size, 3))
            picture.save(beside, quality=_JPEG_QUALITY)
        ids = hits.object_id.reshape(size, size)
        facts = view_facts(ids, self._house.scene.objects, self._kinds)
        rooms = frozenset(fact[1] for fact in facts.may_hold if fact[0] in ("room", "glimpse"))
        room = next((fact[1] for fact in sorted(facts.holds) if fact[0] == "room"), "")
        return View(image_id, name, shoot.scan, tuple(self._things(hits)), room, rooms)

    def _render(
        self, position: np.ndarray, direction: tuple[float, float, float], size: int
    ) -> Hits:
        from envs.panoramas.cameras import perspective_camera, render

        heading, elevation, vfov = direction
        camera = perspective_camera((size, size), heading, elevation, vfov)
        return render(self._tracer, position, camera, (size, size), vfov / size)

    def _things(self, hits: Hits) -> list[Thing]:
        size = round(len(hits.object_id) ** 0.5)
        return seen_things(
            hits.object_id.reshape(size, size),
            hits.distance.reshape(size, size),
            self._house.scene.objects,
        )


def seen_things(
    object_id: np.ndarray, distance: np.ndarray, objects: Sequence[ObjectInfo]
) -> list[Thing]:
    """Things in a picture, the largest first.

    Args:
        object_id: (H, W) indices into `objects`, -1 for the sky.
        distance: (H, W) metres.
        objects: The scene's objects.
    """
    inside = object_id >= 0
    ids = object_id[inside]
    across = np.broadcast_to(np.linspace(-1, 1, object_id.shape[1]), object_id.shape)[inside]
    counts = np.bincount(ids, minlength=len(objects))
    middle = np.bincount(ids, across, len(objects)) / np.maximum(counts, 1)
    away = np.bincount(ids, distance[inside], len(objects)) / np.maximum(counts, 1)
    area = counts / object_id.size
    return [
        _thing(objects[k], float(area[k]), float(middle[k]), float(away[k]))
        for k in np.argsort(-area, kind="stable").tolist()
        if area[k] >= THING_MAY and objects[k].category not in UNMENTIONED
    ]


def _thing(thing: ObjectInfo, area: float, across: float, distance: float) -> Thing:
    colour = "" if thing.category in COLOURLESS else thing.colour
    return Thing(thing_name(thing.category), colour, area, across, distance)
