"""Furnishing of a whole floor plan, room by room."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from math import pi, radians
from typing import NamedTuple

import numpy as np

from clipnav.envs.houses.furnishing.placement import (
    BARE_WINDOWS,
    SIDES,
    ItemPose,
    RoomSpace,
    footprint,
    front_box,
)
from clipnav.envs.houses.furnishing.room_builder import (
    FRONT_SPACE,
    PICTURE_HEIGHT,
    FurnishingState,
    PlacedObject,
    RoomBuilder,
)
from clipnav.envs.houses.furnishing.room_sets import FURNISHERS
from clipnav.envs.houses.furniture import Item, make_item
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.plan.elements import STAIRWELL, STOREY_HEIGHT
from clipnav.envs.houses.plan.floor_plan import WALL_HALF_THICKNESS, WALL_HEIGHT, FloorPlan, Opening
from clipnav.envs.houses.plan.room_layout import HALL_KINDS

logger = logging.getLogger(__name__)

# Optional furniture by kind of room: categories with their probabilities and positions.
_EXTRAS = {
    "hallway": (
        "grandfather clock .5, sideboard .5, plant .7, entrance bench .4, aquarium .25, "
        "bookshelf .3, floor lamp .4, armchair .25, plant .4, statue .4, umbrella stand .5, "
        "wall clock .3, bookshelf .4, dresser .4, coat rack .3, stool .3, chair .4"
    ),
    "landing": (
        "plant .7, bookshelf .5, armchair .4, sideboard .5, floor lamp .4, statue .3, "
        "grandfather clock .3, laundry basket .2, rocking horse .1, dresser .4, chair .4, "
        "bookshelf .4, entrance bench .3"
    ),
    "living room": (
        "fireplace .5 middle, bookshelf .5, plant .7 corner, floor lamp .8 corner, sideboard .3, "
        "aquarium .3, grandfather clock .2, piano .1, statue .25 corner, wall clock .2, "
        "plant .4 corner, armchair .5 corner, bookshelf .5, floor lamp .4 corner, desk .25, "
        "dresser .3"
    ),
    "kitchen": (
        "stool .5, plant .4 corner, trash can .7, wall clock .6, stool .4, sideboard .4, "
        "kitchen counter .5, chair .4"
    ),
    "dining room": (
        "sideboard .8, plant .6 corner, floor lamp .4 corner, grandfather clock .25, "
        "fireplace .15 middle, bookshelf .3, armchair .3 corner, dresser .3, plant .4 corner"
    ),
    "bathroom": (
        "towel rail .8, laundry basket .4 corner, trash can .3, plant .4 corner, stool .3, "
        "washing machine .2, dresser .3"
    ),
    "bedroom": (
        "dresser .6, armchair .4 corner, plant .5 corner, floor lamp .4 corner, tv stand .2, "
        "bookshelf .2, desk .3, wardrobe .3, chair .3, bookshelf .3, plant .3 corner"
    ),
    "kid's bedroom": (
        "bookshelf .6, rocking horse .6, teddy bear .7, guitar .2, globe .2, wardrobe .4, "
        "aquarium .3, dresser .3, plant .2 corner, stool .3, floor lamp .3 corner, "
        "armchair .3 corner, wardrobe .3"
    ),
    "office": (
        "globe .4, trash can .5, wall clock .5, bookshelf .6, plant .7 corner, "
        "floor lamp .6 corner, armchair .5 corner, sideboard .3, bookshelf .5, dresser .3, "
        "chair .4"
    ),
    "library": (
        "globe .6, statue .4, floor lamp .9 corner, armchair .6 corner, grandfather clock .3, "
        "fireplace .3 middle, desk .2, plant .4 corner, desk .4, sideboard .3, chair .4"
    ),
    "laundry room": (
        "ironing board .8, laundry basket .6, trash can .3, shoe rack .3, stool .3, wardrobe .4, "
        "dresser .3, plant .3 corner"
    ),
    "gym": (
        "treadmill .4, wall clock .5, exercise ball .5 corner, tv stand .3, plant .5 corner, "
        "entrance bench .4, bookshelf .3, stool .3, dumbbell rack .4"
    ),
    "closet": ("dresser .5, stool .5, laundry basket .3 corner, shoe rack .4, chair .3"),
    "music room": (
        "guitar .6, statue .3, bookshelf .5, armchair .6 corner, floor lamp .6 corner, "
        "plant .6 corner, sideboard .3, piano .2, chair .4, fireplace .2 middle"
    ),
}
# Maximum number of pictures by kind of room; other rooms have none.
PICTURES = {
    "hallway": 9,
    "landing": 7,
    "living room": 6,
    "dining room": 5,
    "kitchen": 2,
    "bathroom": 1,
    "bedroom": 5,
    "kid's bedroom": 5,
    "office": 4,
    "library": 2,
    "laundry room": 2,
    "gym": 2,
    "music room": 5,
}
_GYM_MIRROR = {"width": 1.8, "height": 1.3}
_MIRROR_CHANCE = {"hallway": 0.6, "landing": 0.3, "bedroom": 0.5, "closet": 1.0, "gym": 1.0}
_ROD_ABOVE_WINDOW, _HEM = 0.12, 0.03  # of curtains, above the window and above the floor
# Preferred furniture below a picture.
_BELOW_PICTURES = ("sofa", "bed", "sideboard", "dresser", "piano", "entrance bench", "desk")
_PICTURE_CHANCE = 0.75  # of a wall of a stairwell
_ROOM_ATTEMPTS = 40
_STOCK_ATTEMPTS = 6
_JAMB = 0.03  # width of a door frame on each side of the leaf
_LEAF_THRESHOLD = 0.01
# Maximum number and categories of small objects by the furniture on which they lie.
ON_TOP: dict[str, tuple[int, tuple[str, ...]]] = {
    "coffee table": (2, ("cup", "books", "fruit bowl", "candle")),
    "dining table": (4, ("plate", "plate", "cup", "bottle", "fruit bowl")),
    "desk": (2, ("cup", "books", "laptop")),
    "sideboard": (2, ("candle", "books", "bottle", "laptop")),
    "dresser": (2, ("candle", "books", "cup")),
    "nightstand": (1, ("cup", "books")),
    "kitchen counter": (3, ("bottle", "plate", "cup", "fruit bowl")),
    "tv stand": (1, ("books", "candle")),
    "entrance bench": (1, ("bag", "books")),
    "toy chest": (1, ("toy blocks",)),
}
# Categories of small objects on the floor by kind of room; other rooms have none.
_ON_FLOOR: dict[str, tuple[str, ...]] = {
    "hallway": ("shoes", "bag", "shoes"),
    "landing": ("bag", "books"),
    "living room": ("toy blocks", "books", "bag"),
    "bedroom": ("shoes", "bag", "books"),
    "kid's bedroom": ("ball", "toy blocks", "shoes", "ball"),
    "office": ("bag", "box", "books"),
    "library": ("books", "books"),
    "laundry room": ("box", "bottle"),
    "gym": ("bag", "bottle", "ball"),
    "closet": ("shoes", "box", "bag"),
    "music room": ("books", "bag"),
}
_MOST_ON_FLOOR = 3
_TOP_CHANCE, _FLOOR_CHANCE = 0.65, 0.6
_SPOTS = 14  # positions to try for each object
_EDGE = 0.02  # minimum distance in metres of an object from the edge of its surface
_FLAT = 0.004  # maximum height difference in metres of the surface below an object
_TOPS = (0.25, 1.3)  # range of heights in metres of suitable surfaces


class Extra(NamedTuple):
    """An optional item, its probability, and its position along a free piece of wall."""

    category: str
    chance: float
    where: str = "any"

    @classmethod
    def parse(cls, text: str) -> Extra:
        """Return the item of a text such as "plant .7 corner"."""
        words = text.split()
        where = words.pop() if words[-1].isalpha() else "any"
        chance = float(words.pop())
        return cls(" ".join(words), chance, where)


EXTRAS: dict[str, tuple[Extra, ...]] = {
    kind: tuple(Extra.parse(text) for text in texts.split(", ")) for kind, texts in _EXTRAS.items()
}


def _add_extras(room: RoomBuilder) -> None:
    """Add optional furniture until the room is full."""
    for extra in room.shuffled(EXTRAS[room.space.room.kind]):
        if room.is_full() or not room.state.triangles_left(room.space.room.index):
            return
        if room.chance(extra.chance):
            item = room.draw(extra.category)
            if item.mount == "wall":
                _hang_somewhere(room, item)
            else:
                room.against_wall(item, extra.where)


def _hang_curtains(room: RoomBuilder) -> None:
    """Hang curtains beside the windows, in the space that `RoomSpace` reserves."""
    space = room.space
    if space.room.kind in BARE_WINDOWS:
        return
    colour = None
    for window in space.openings:
        if window.kind != "window":
            continue
        height = window.top + _ROD_ABOVE_WINDOW - _HEM
        curtain = room.draw("curtain", width=window.width, height=height, colour=colour)
        colour = curtain.colour  # the same at all windows of a room
        middle = (window.start + window.end) / 2
        pose = space.wall_pose(space.side_of(window), middle, 0.0)
        room.put(curtain, pose, _HEM + curtain.size[2] / 2, blocks=False)


def _decorate_walls(room: RoomBuilder) -> None:
    """Hang a mirror in some rooms and pictures, first above furniture and then anywhere."""
    kind = room.space.room.kind
    if room.chance(_MIRROR_CHANCE.get(kind, 0.0)):
        size = _GYM_MIRROR if kind == "gym" else {}
        _hang_somewhere(room, room.draw("mirror", **size))
    most = PICTURES.get(kind, 0)
    if not most:
        return
    count = int(room.rng.integers((most + 1) // 2, most + 1))
    for placed in list(room.objects):
        if count and placed.item.category in _BELOW_PICTURES:
            pose = ItemPose(placed.position[0], placed.position[1], placed.angle)
            side = room.space.side_behind(pose)
            z = max(PICTURE_HEIGHT, placed.item.size[2] + 0.55)
            picture = room.draw("picture")
            count -= room.hang(picture, side, room.space.along(side, pose), z)
    for _ in range(count):
        _hang_somewhere(room, room.draw("picture"))


def _hang_somewhere(room: RoomBuilder, item: Item) -> None:
    for _ in range(8):
        side = room.shuffled(SIDES)[0]
        low, high = room.space.span(side)
        margin = item.size[0] / 2 + 0.25
        if high - low > 2 * margin:
            along = float(room.rng.uniform(low + margin, high - margin))
            if room.hang(item, side, along, PICTURE_HEIGHT, margin=0.2):
                return


def _hang_ceiling_lights(room: RoomBuilder) -> None:
    """Hang one light, or three along a hall."""
    light = room.draw("ceiling light")
    for pose in room.space.in_row(3 if room.space.room.kind in HALL_KINDS else 1):
        room.put(light, pose, WALL_HEIGHT, blocks=False)


def furnish(
    plan: FloorPlan,
    rng: np.random.Generator,
    style: Style,
    scan: str = "a house",
) -> list[PlacedObject]:
    """Place furniture, doors, curtains, pictures and lamps of a whole house.

    Every room gets its required furniture, then optional objects as long as the floor stays
    walkable. Objects on the floor do not overlap, except chairs under tables. If a room is too
    small for its required furniture, the rest is left out with a warning.
    """
    state = FurnishingState(plan, rng, style, scan)
    state.doors += _hang_doors(plan, rng, style)
    objects = list(state.doors)
    for room in plan.rooms:
        if room.kind == STAIRWELL:
            objects += _furnish_stairwell(RoomBuilder(state, room.index))
            continue
        placed = _furnish_room(state, room.index)
        state.seen |= {(o.item.category, o.item.colour) for o in placed}
        state.triangles += sum(o.triangles for o in placed)
        objects += placed
    return objects


def _furnish_room(state: FurnishingState, room_index: int) -> list[PlacedObject]:
    """Return the first attempt at a room with all required furniture, or else the best one."""
    kind = state.plan.rooms[room_index].kind
    best: RoomBuilder | None = None
    for attempt in range(_ROOM_ATTEMPTS):
        if attempt % _STOCK_ATTEMPTS == 0:
            state.stock.clear()  # items of other sizes may fit
        room = RoomBuilder(state, room_index)
        _hang_curtains(room)
        FURNISHERS[kind](room)
        if best is None or len(room.missing) < len(best.missing):
            best = room
        if not room.missing:
            break
        room.return_unplaced()
    assert best is not None
    if best.missing:
        missing = ", ".join(best.missing)
        logger.warning(
            "%s: room %d (%s) has no space for: %s; try another plan seed in sets.py",
            *(state.scan, room_index, kind, missing),
        )
    _add_extras(best)
    _decorate_walls(best)
    _hang_ceiling_lights(best)
    best.return_unplaced()
    return best.objects


def _hang_doors(plan: FloorPlan, rng: np.random.Generator, style: Style) -> list[PlacedObject]:
    """Return the leaves of all inner doors, wide open, with one design per house."""
    doors: list[PlacedObject] = []
    item: Item | None = None
    for opening in plan.openings:
        if opening.kind != "door":
            continue
        if item is None:
            size = {"width": opening.width - 2 * _JAMB, "height": opening.top - 0.03}
            item = make_item("door", rng, style, **size)
        pose = _leaf_pose(plan, opening, item, radians(float(rng.uniform(87.0, 90.0))))
        position = (pose.x, pose.y, _LEAF_THRESHOLD + opening.floor)
        doors.append(PlacedObject(item, opening.swing_room, position, pose.angle, True))
    return doors


def _leaf_pose(plan: FloorPlan, opening: Opening, leaf: Item, opened: float) -> ItemPose:
    """Return the pose of a leaf on its hinge, `opened` radians from closed, in the swing room."""
    room = plan.rooms[opening.swing_room]
    low = room.y0 if opening.axis == "x" else room.x0
    into = 1.0 if opening.position == low else -1.0  # direction into the room across the wall
    from_start = opening.hinge == "start"
    along = opening.start if from_start else opening.end
    across = opening.position + into * WALL_HALF_THICKNESS
    # In the frame (along the wall, into the room) the leaf turns from the wall into the room.
    sign = 1.0 if from_start else -1.0
    reach_along = sign * np.cos(opened) * leaf.size[0] / 2
    reach_across = into * np.sin(opened) * leaf.size[0] / 2
    if opening.axis == "x":
        step = np.array([reach_along, reach_across])
        hinge = np.array([along, across])
    else:
        step = np.array([reach_across, reach_along])
        hinge = np.array([across, along])
    x, y = hinge + step
    return ItemPose(float(x), float(y), float(np.arctan2(step[1], step[0])))


def _furnish_stairwell(room: RoomBuilder) -> list[PlacedObject]:
    """Furnish the upper room of a stairwell; the lower one contains only steps."""
    space = room.space
    if space.room.storey == 0:
        return []
    lamp = ItemPose(*space.room.centre, space.in_row(1)[0].angle)
    room.put(room.draw("ceiling light"), lamp, WALL_HEIGHT, blocks=False)
    # Halfway between the floors, half a metre above eye height on the landing.
    height = PICTURE_HEIGHT - STOREY_HEIGHT / 2 + 0.5
    open_sides = {space.side_of(o) for o in space.openings if o.kind != "window"}
    for side in SIDES:
        if side not in open_sides and room.chance(_PICTURE_CHANCE):
            low, high = space.span(side)
            room.hang(room.draw("picture"), side, (low + high) / 2, height)
    return room.objects


def scatter(
    plan: FloorPlan, placed: Sequence[PlacedObject], rng: np.random.Generator, style: Style
) -> list[PlacedObject]:
    """Place small objects in a furnished house whose floor stays walkable; return them."""
    clutter: list[PlacedObject] = []
    for thing in placed:
        most, names = ON_TOP.get(thing.item.category, (0, ()))
        if most:
            clutter += _on_top(thing, most, names, rng, style)
    for room in plan.rooms:
        if room.kind in _ON_FLOOR:
            clutter += _on_floor(plan, room.index, placed, rng, style)
    return clutter


def _on_top(
    thing: PlacedObject, most: int, names: tuple[str, ...], rng: np.random.Generator, style: Style
) -> Iterator[PlacedObject]:
    """Yield up to `most` objects at flat and free positions on top of another object."""
    surface = _Surface(thing.item)
    for _ in range(most):
        if rng.random() > _TOP_CHANCE:
            continue
        item = make_item(pick(rng, names), rng, style)
        spot = surface.find(item, rng)
        if spot is None:
            continue
        x, y, z = spot
        c, s = np.cos(thing.angle), np.sin(thing.angle)
        at = (
            thing.position[0] + float(c * x - s * y),
            thing.position[1] + float(s * x + c * y),
            thing.position[2] + z,
        )
        # Roughly aligned with the furniture below.
        angle = thing.angle + float(rng.uniform(-0.5, 0.5))
        yield PlacedObject(item, thing.room, at, angle, blocks_floor=False)


class _Surface:
    """The top of a piece of furniture in its own frame, measured by rays from above."""

    def __init__(self, item: Item) -> None:
        from clipnav.envs.panoramas.ray_tracer import embree_scene

        corners = np.concatenate([part.positions[part.faces] for part in item.parts])
        self._embree = embree_scene(corners)
        self._size = item.size
        self._taken: list[tuple[float, float, float]] = []  # x, y, radius

    def find(self, item: Item, rng: np.random.Generator) -> tuple[float, float, float] | None:
        """Return a position (x, y, z) where an item lies flat at any angle, or None."""
        radius = float(np.hypot(*item.size[:2])) / 2
        free = np.array(self._size[:2]) / 2 - _EDGE
        inner = free - (radius if min(free) > radius else min(item.size[:2]) / 2)
        if min(inner) < 0:
            return None
        for x, y in rng.uniform(-inner, inner, (_SPOTS, 2)):
            if any(np.hypot(x - a, y - b) < radius + r for a, b, r in self._taken):
                continue
            turn = np.arange(12) * pi / 6
            ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
            around = np.concatenate([np.zeros((1, 2)), 0.55 * radius * ring, radius * ring])
            above = self._size[2] + 1.0
            origins = np.column_stack(
                [around + np.array([float(x), float(y)]), np.full(len(around), above)]
            )
            down = np.tile(np.array([0, 0, -1], np.float32), (len(around), 1))
            hits = self._embree.run(
                origins.astype(np.float32), down, query="INTERSECT", output=True
            )
            heights = np.where(hits["primID"] < 0, -np.inf, above - hits["tfar"])
            if np.ptp(heights) < _FLAT and _TOPS[0] < heights[0] < _TOPS[1]:
                self._taken.append((float(x), float(y), radius))
                return float(x), float(y), float(heights.max())
        return None


def _on_floor(
    plan: FloorPlan,
    room_index: int,
    placed: Sequence[PlacedObject],
    rng: np.random.Generator,
    style: Style,
) -> Iterator[PlacedObject]:
    """Yield a few objects along the walls of a room, where its floor stays walkable."""
    room, space = plan.rooms[room_index], RoomSpace(plan, room_index)
    for thing in placed:
        if thing.room == room_index and thing.blocks_floor:
            pose = ItemPose(*thing.position[:2], thing.angle)
            depth = FRONT_SPACE.get(thing.item.category, 0.0)
            front = front_box(thing.item.size, pose, depth) if depth else None
            space.occupy(thing.footprint, thing.item.size[2], front)
    for _ in range(_MOST_ON_FLOOR):
        if rng.random() > _FLOOR_CHANCE:
            continue
        item = make_item(pick(rng, _ON_FLOOR[room.kind]), rng, style)
        poses = space.wall_poses(item.size, 0.0, "any")
        for index in rng.permutation(len(poses))[:_SPOTS]:
            pose = poses[int(index)]
            box = footprint(item.size, pose)
            if space.stays_walkable([box]):
                space.occupy(box, item.size[2])
                position = (float(pose.x), float(pose.y), room.floor)
                yield PlacedObject(item, room_index, position, float(pose.angle), True)
                break
