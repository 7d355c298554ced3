"""Optional furniture, pictures, mirrors, curtains and lamps of furnished rooms."""

from typing import NamedTuple

from clipnav.envs.houses.furnishing.placement import BARE_WINDOWS, SIDES, Pose
from clipnav.envs.houses.furnishing.room_builder import PICTURE_HEIGHT, RoomBuilder
from clipnav.envs.houses.furniture import Item
from clipnav.envs.houses.plan.floor_plan import WALL_HEIGHT
from clipnav.envs.houses.plan.room_layout import HALL_KINDS


class Extra(NamedTuple):
    """An optional item, its probability, and its position along a free piece of wall."""

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
        Extra("statue", 0.4),
        Extra("umbrella stand", 0.5),
        Extra("wall clock", 0.3),
        Extra("bookshelf", 0.4),
        Extra("dresser", 0.4),
        Extra("coat rack", 0.3),
        Extra("stool", 0.3),
        Extra("chair", 0.4),
    ),
    "landing": (
        Extra("plant", 0.7),
        Extra("bookshelf", 0.5),
        Extra("armchair", 0.4),
        Extra("sideboard", 0.5),
        Extra("floor lamp", 0.4),
        Extra("statue", 0.3),
        Extra("grandfather clock", 0.3),
        Extra("laundry basket", 0.2),
        Extra("rocking horse", 0.1),
        Extra("dresser", 0.4),
        Extra("chair", 0.4),
        Extra("bookshelf", 0.4),
        Extra("entrance bench", 0.3),
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
        Extra("statue", 0.25, "corner"),
        Extra("wall clock", 0.2),
        Extra("plant", 0.4, "corner"),
        Extra("armchair", 0.5, "corner"),
        Extra("bookshelf", 0.5),
        Extra("floor lamp", 0.4, "corner"),
        Extra("desk", 0.25),
        Extra("dresser", 0.3),
    ),
    "kitchen": (
        Extra("stool", 0.5),
        Extra("plant", 0.4, "corner"),
        Extra("trash can", 0.7),
        Extra("wall clock", 0.6),
        Extra("stool", 0.4),
        Extra("sideboard", 0.4),
        Extra("kitchen counter", 0.5),
        Extra("chair", 0.4),
    ),
    "dining room": (
        Extra("sideboard", 0.8),
        Extra("plant", 0.6, "corner"),
        Extra("floor lamp", 0.4, "corner"),
        Extra("grandfather clock", 0.25),
        Extra("fireplace", 0.15, "middle"),
        Extra("bookshelf", 0.3),
        Extra("armchair", 0.3, "corner"),
        Extra("dresser", 0.3),
        Extra("plant", 0.4, "corner"),
    ),
    "bathroom": (
        Extra("towel rail", 0.8),
        Extra("laundry basket", 0.4, "corner"),
        Extra("trash can", 0.3),
        Extra("plant", 0.4, "corner"),
        Extra("stool", 0.3),
        Extra("washing machine", 0.2),
        Extra("dresser", 0.3),
    ),
    "bedroom": (
        Extra("dresser", 0.6),
        Extra("armchair", 0.4, "corner"),
        Extra("plant", 0.5, "corner"),
        Extra("floor lamp", 0.4, "corner"),
        Extra("tv stand", 0.2),
        Extra("bookshelf", 0.2),
        Extra("desk", 0.3),
        Extra("wardrobe", 0.3),
        Extra("chair", 0.3),
        Extra("bookshelf", 0.3),
        Extra("plant", 0.3, "corner"),
    ),
    "kid's bedroom": (
        Extra("bookshelf", 0.6),
        Extra("rocking horse", 0.6),
        Extra("teddy bear", 0.7),
        Extra("guitar", 0.2),
        Extra("globe", 0.2),
        Extra("wardrobe", 0.4),
        Extra("aquarium", 0.3),
        Extra("dresser", 0.3),
        Extra("plant", 0.2, "corner"),
        Extra("stool", 0.3),
        Extra("floor lamp", 0.3, "corner"),
        Extra("armchair", 0.3, "corner"),
        Extra("wardrobe", 0.3),
    ),
    "office": (
        Extra("globe", 0.4),
        Extra("trash can", 0.5),
        Extra("wall clock", 0.5),
        Extra("bookshelf", 0.6),
        Extra("plant", 0.7, "corner"),
        Extra("floor lamp", 0.6, "corner"),
        Extra("armchair", 0.5, "corner"),
        Extra("sideboard", 0.3),
        Extra("bookshelf", 0.5),
        Extra("dresser", 0.3),
        Extra("chair", 0.4),
    ),
    "library": (
        Extra("globe", 0.6),
        Extra("statue", 0.4),
        Extra("floor lamp", 0.9, "corner"),
        Extra("armchair", 0.6, "corner"),
        Extra("grandfather clock", 0.3),
        Extra("fireplace", 0.3, "middle"),
        Extra("desk", 0.2),
        Extra("plant", 0.4, "corner"),
        Extra("desk", 0.4),
        Extra("sideboard", 0.3),
        Extra("chair", 0.4),
    ),
    "laundry room": (
        Extra("ironing board", 0.8),
        Extra("laundry basket", 0.6),
        Extra("trash can", 0.3),
        Extra("shoe rack", 0.3),
        Extra("stool", 0.3),
        Extra("wardrobe", 0.4),
        Extra("dresser", 0.3),
        Extra("plant", 0.3, "corner"),
    ),
    "gym": (
        Extra("treadmill", 0.4),
        Extra("wall clock", 0.5),
        Extra("exercise ball", 0.5, "corner"),
        Extra("tv stand", 0.3),
        Extra("plant", 0.5, "corner"),
        Extra("entrance bench", 0.4),
        Extra("bookshelf", 0.3),
        Extra("stool", 0.3),
        Extra("dumbbell rack", 0.4),
    ),
    "closet": (
        Extra("dresser", 0.5),
        Extra("stool", 0.5),
        Extra("laundry basket", 0.3, "corner"),
        Extra("shoe rack", 0.4),
        Extra("chair", 0.3),
    ),
    "music room": (
        Extra("guitar", 0.6),
        Extra("statue", 0.3),
        Extra("bookshelf", 0.5),
        Extra("armchair", 0.6, "corner"),
        Extra("floor lamp", 0.6, "corner"),
        Extra("plant", 0.6, "corner"),
        Extra("sideboard", 0.3),
        Extra("piano", 0.2),
        Extra("chair", 0.4),
        Extra("fireplace", 0.2, "middle"),
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
GYM_MIRROR = {"width": 1.8, "height": 1.3}
MIRROR_CHANCE = {"hallway": 0.6, "landing": 0.3, "bedroom": 0.5, "closet": 1.0, "gym": 1.0}
ROD_ABOVE_WINDOW, HEM = 0.12, 0.03  # of curtains, above the window and above the floor
# Preferred furniture below a picture.
BELOW_PICTURES = ("sofa", "bed", "sideboard", "dresser", "piano", "entrance bench", "desk")


def add_extras(room: RoomBuilder) -> None:
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


def hang_curtains(room: RoomBuilder) -> None:
    """Hang curtains beside the windows, in the space that `RoomSpace` reserves."""
    space = room.space
    if space.room.kind in BARE_WINDOWS:
        return
    colour = None
    for window in space.openings:
        if window.kind != "window":
            continue
        height = window.top + ROD_ABOVE_WINDOW - HEM
        curtain = room.draw("curtain", width=window.width, height=height, colour=colour)
        colour = curtain.colour  # the same at all windows of a room
        middle = (window.start + window.end) / 2
        pose = space.wall_pose(space.side_of(window), middle, 0.0)
        room.put(curtain, pose, HEM + curtain.size[2] / 2, blocks=False)


def decorate_walls(room: RoomBuilder) -> None:
    """Hang a mirror in some rooms and pictures, first above furniture and then anywhere."""
    kind = room.space.room.kind
    if room.chance(MIRROR_CHANCE.get(kind, 0.0)):
        size = GYM_MIRROR if kind == "gym" else {}
        _hang_somewhere(room, room.draw("mirror", **size))
    most = PICTURES.get(kind, 0)
    if not most:
        return
    count = int(room.rng.integers((most + 1) // 2, most + 1))
    for placed in list(room.objects):
        if count and placed.item.category in BELOW_PICTURES:
            pose = Pose(placed.position[0], placed.position[1], placed.angle)
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


def hang_ceiling_lights(room: RoomBuilder) -> None:
    """Hang one light, or three along a hall."""
    light = room.draw("ceiling light")
    for pose in room.space.in_row(3 if room.space.room.kind in HALL_KINDS else 1):
        room.put(light, pose, WALL_HEIGHT, blocks=False)
