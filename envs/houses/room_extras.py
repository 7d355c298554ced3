"""What makes a furnished room a home: further furniture, pictures, rugs, curtains and lamps."""

from math import pi
from typing import NamedTuple

from envs.houses.floor_plan import WALL_HEIGHT
from envs.houses.placement import BARE_WINDOWS, SIDES, Pose
from envs.houses.room_builder import PICTURE_HEIGHT, RoomBuilder


class Extra(NamedTuple):
    """An optional item, its chance, and where along a free piece of wall it goes."""

    category: str
    chance: float
    where: str = "any"


EXTRAS: dict[str, tuple[Extra, ...]] = {
    "hallway": (
        Extra("grandfather clock", 0.5),
        Extra("sideboard", 0.5),
        Extra("plant", 0.7),
        Extra("entrance bench", 0.4),
        Extra("aquarium", 0.25),
        Extra("bookshelf", 0.3),
        Extra("floor lamp", 0.4),
        Extra("armchair", 0.25),
        Extra("plant", 0.4),
    ),
    "living room": (
        Extra("fireplace", 0.5, "middle"),
        Extra("bookshelf", 0.5),
        Extra("plant", 0.7, "corner"),
        Extra("floor lamp", 0.8, "corner"),
        Extra("sideboard", 0.3),
        Extra("aquarium", 0.3),
        Extra("grandfather clock", 0.2),
        Extra("piano", 0.1),
        Extra("plant", 0.4, "corner"),
    ),
    "kitchen": (
        Extra("stool", 0.5),
        Extra("plant", 0.4, "corner"),
        Extra("stool", 0.4),
    ),
    "dining room": (
        Extra("sideboard", 0.8),
        Extra("plant", 0.6, "corner"),
        Extra("floor lamp", 0.4, "corner"),
        Extra("grandfather clock", 0.25),
        Extra("fireplace", 0.15, "middle"),
    ),
    "bathroom": (
        Extra("laundry basket", 0.5, "corner"),
        Extra("plant", 0.4, "corner"),
        Extra("stool", 0.3),
    ),
    "bedroom": (
        Extra("dresser", 0.6),
        Extra("armchair", 0.4, "corner"),
        Extra("plant", 0.5, "corner"),
        Extra("floor lamp", 0.4, "corner"),
        Extra("tv stand", 0.2),
        Extra("bookshelf", 0.2),
    ),
    "kid's bedroom": (
        Extra("bookshelf", 0.6),
        Extra("wardrobe", 0.5),
        Extra("aquarium", 0.3),
        Extra("dresser", 0.3),
        Extra("plant", 0.2, "corner"),
    ),
    "office": (
        Extra("bookshelf", 0.6),
        Extra("plant", 0.7, "corner"),
        Extra("floor lamp", 0.6, "corner"),
        Extra("armchair", 0.5, "corner"),
        Extra("sideboard", 0.3),
    ),
    "library": (
        Extra("floor lamp", 0.9, "corner"),
        Extra("armchair", 0.6, "corner"),
        Extra("grandfather clock", 0.3),
        Extra("fireplace", 0.3, "middle"),
        Extra("desk", 0.2),
        Extra("plant", 0.4, "corner"),
    ),
    "laundry room": (
        Extra("laundry basket", 0.7),
        Extra("shoe rack", 0.3),
        Extra("stool", 0.3),
    ),
    "gym": (
        Extra("treadmill", 0.5),
        Extra("exercise ball", 0.5, "corner"),
        Extra("tv stand", 0.3),
        Extra("plant", 0.5, "corner"),
        Extra("entrance bench", 0.4),
    ),
    "closet": (
        Extra("dresser", 0.5),
        Extra("stool", 0.5),
        Extra("laundry basket", 0.3, "corner"),
    ),
    "music room": (
        Extra("bookshelf", 0.5),
        Extra("armchair", 0.6, "corner"),
        Extra("floor lamp", 0.6, "corner"),
        Extra("plant", 0.6, "corner"),
        Extra("sideboard", 0.3),
    ),
}
# Most pictures per room; rooms that are not listed have none.
PICTURES = {
    "hallway": 5,
    "living room": 4,
    "dining room": 3,
    "kitchen": 1,
    "bedroom": 3,
    "kid's bedroom": 3,
    "office": 2,
    "library": 1,
    "music room": 3,
}
MIRROR_CHANCE = {"hallway": 0.6, "bedroom": 0.5, "closet": 1.0, "gym": 1.0}
# A picture looks best above one of these.
BELOW_PICTURES = ("sofa", "bed", "sideboard", "dresser", "piano", "entrance bench", "desk")


def add_extras(room: RoomBuilder) -> None:
    """Add optional furniture while the room has space to live in."""
    for extra in room.shuffled(EXTRAS[room.space.room.kind]):
        if room.is_full():
            return
        if room.chance(extra.chance):
            item = room.draw(extra.category)
            room.against_wall(item, where=extra.where)


def hang_curtains(room: RoomBuilder) -> None:
    """Curtains beside the windows; the builder has kept their place free."""
    space = room.space
    if space.room.kind in BARE_WINDOWS:
        return
    for window in space.openings:
        if window.kind != "window":
            continue
        curtain = room.draw("curtain", width=window.width, height=window.top + 0.12)
        side = space.side_of(window)
        room.put(curtain, space.wall_pose(side, (window.start + window.end) / 2, 0.0), blocks=False)


def decorate_walls(room: RoomBuilder) -> None:
    """A mirror in some rooms, and pictures, above furniture first and then anywhere."""
    kind = room.space.room.kind
    if room.chance(MIRROR_CHANCE.get(kind, 0.0)):
        _hang_somewhere(room, "mirror")
    most = PICTURES.get(kind, 0)
    if not most:
        return
    count = int(room.rng.integers(1, most + 1))
    for placed in list(room.objects):
        if count and placed.item.category in BELOW_PICTURES:
            pose = Pose(placed.position[0], placed.position[1], placed.angle)
            side = room.space.side_behind(pose)
            z = max(PICTURE_HEIGHT, placed.item.size[2] + 0.55)
            picture = room.draw("picture")
            count -= room.hang(picture, side, room.space.along(side, pose), z)
    for _ in range(count):
        _hang_somewhere(room, "picture")


def _hang_somewhere(room: RoomBuilder, category: str) -> None:
    item = room.draw(category)
    for _ in range(8):
        side = room.shuffled(SIDES)[0]
        low, high = room.space.span(side)
        margin = item.size[0] / 2 + 0.25
        if high - low > 2 * margin:
            along = float(room.rng.uniform(low + margin, high - margin))
            if room.hang(item, side, along, PICTURE_HEIGHT, margin=0.2):
                return


def hang_ceiling_lights(room: RoomBuilder) -> None:
    """One light, or three along a hall."""
    inner = room.space.inner
    light = room.draw("ceiling light")
    count = 3 if room.space.room.kind == "hallway" else 1
    along_x = inner.x1 - inner.x0 >= inner.y1 - inner.y0
    for k in range(count):
        share = (k + 0.5) / count
        x = inner.x0 + (share if along_x else 0.5) * (inner.x1 - inner.x0)
        y = inner.y0 + (0.5 if along_x else share) * (inner.y1 - inner.y0)
        room.put(light, Pose(x, y, 0.0 if along_x else pi / 2), WALL_HEIGHT, blocks=False)
