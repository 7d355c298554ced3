"""Captions of images of the houses: five per image, about its room and its largest things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipnav.envs.houses.views.captions import pick, with_article
from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing, pick_synonym

CAPTIONS = 5
_MAX_THINGS = 4  # captions mention only so many of the largest things
_MIDDLE = 0.3  # things nearer to the centre than this are "in the middle"
_NO_THING = ("a bare wall", "a part of an empty room", "walls and little else")
# By the number of things that they mention, with a room {r} and without.
_WITH_ROOM = {
    1: ("{r} with {0}", "{0} in {r}", "{r} where {0} is {s0}"),
    2: (
        "{r} with {0} and {1}",
        "{0} and {1} in {r}",
        "{r} with {0} {s0} and {1}",
        "{r} with {0} and, {s1}, {1}",
    ),
    3: ("{r} with {0}, {1} and {2}", "{0}, {1} and {2} in {r}"),
}
_WITHOUT_ROOM = {
    1: ("there is {0} {s0}", "a view of {0}", "{0} {s0}"),
    2: ("{0} and {1}", "there is {0} {s0} and {1}", "a view of {0} and {1}"),
    3: ("{0}, {1} and {2}", "there are {0}, {1} and {2}"),
}


def write_captions(image: HouseImage, rng: np.random.Generator) -> list[str]:
    """Return five captions of an image, in lower case and without a full stop.

    They mention mostly the largest things first, and only the largest one of each name. Beside a
    room, they mention only things in it.
    """
    mentioned = largest_things(image, in_room=bool(image.room))[:_MAX_THINGS]
    if not mentioned:
        room = f"a part of {with_article(image.room)}" if image.room else ""
        return [room or pick(_NO_THING, rng) for _ in range(CAPTIONS)]
    return [_caption(image, mentioned, number, rng) for number in range(CAPTIONS)]


def _caption(
    image: HouseImage, mentioned: Sequence[Thing], number: int, rng: np.random.Generator
) -> str:
    count = min(len(mentioned), 1 + (number + 1) % 3)
    things = list(mentioned[: max(count, min(len(mentioned), _MAX_THINGS - 1))])
    if len(things) > count:
        things.pop(int(rng.integers(1, len(things))))
    things = things[:count]
    frames = _WITH_ROOM if image.room else _WITHOUT_ROOM
    words = [
        with_article(f"{thing.colour} {pick_synonym(thing.name, rng)}".strip()) for thing in things
    ]
    sides = {
        f"s{k}": "in the middle" if (side := side_of(thing)) == "middle" else f"on the {side}"
        for k, thing in enumerate(things)
    }
    room = with_article(pick_synonym(image.room, rng)) if image.room else ""
    return pick(frames[count], rng).format(*words, r=room, **sides)


def largest_things(image: HouseImage, in_room: bool = False) -> list[Thing]:
    """Return the clearly visible things, the largest first, and the largest one of each name."""
    by_name: dict[str, Thing] = {}
    for thing in image.clear:
        if not in_room or thing.room in ("", image.room):
            by_name.setdefault(thing.name, thing)
    return list(by_name.values())


def side_of(thing: Thing) -> str:
    """Return the side of an image that a thing is on: "left", "middle" or "right"."""
    if abs(thing.across) < _MIDDLE:
        return "middle"
    return "left" if thing.across < 0 else "right"
