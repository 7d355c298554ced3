"""Captions of pictures of houses: five of each, about its room and its most conspicuous things."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.houses.views.captions import pick, with_article
from vl_tasks.house_tasks.views import CLEAR, Thing, View
from vl_tasks.house_tasks.wording import say

CAPTIONS = 5
_TOLD = 4  # things that a caption may speak of, the largest of the picture
_ASIDE = 0.3
_NO_THING = ("a bare wall", "a part of an empty room", "walls and little else")
# By how many things they speak of, with a room {r} and without.
_WITH_ROOM = {
    1: ("{r} with {0}", "{0} in {r}", "{r} where {0} is {s0}"),
    2: (
        "{r} with {0} and {1}",
        "{0} and {1} in {r}",
        "{r} with {0} {s0} and {1}",
        "{0} {s0} of {r} with {1}",
    ),
    3: ("{r} with {0}, {1} and {2}", "{0}, {1} and {2} in {r}"),
}
_WITHOUT_ROOM = {
    1: ("there is {0} {s0}", "a view of {0}", "{0} {s0}"),
    2: ("{0} beside {1}", "there is {0} {s0} and {1}", "a view of {0} and {1}"),
    3: ("{0}, {1} and {2}", "there are {0}, {1} and {2}"),
}


def write_captions(view: View, rng: np.random.Generator) -> list[str]:
    """Five captions of a picture, lower-case, without a full stop.

    Things are told in the order of their size, mostly; of several alike one is told.
    """
    told = _conspicuous(view)
    if not told:
        room = f"a part of {with_article(view.room)}" if view.room else ""
        return [room or pick(_NO_THING, rng) for _ in range(CAPTIONS)]
    return [_caption(view, told, number, rng) for number in range(CAPTIONS)]


def _caption(view: View, told: Sequence[Thing], number: int, rng: np.random.Generator) -> str:
    count = min(len(told), 1 + (number + 1) % 3)
    things = list(told[: max(count, min(len(told), _TOLD - 1))])
    if len(things) > count:
        things.pop(int(rng.integers(1, len(things))))
    things = things[:count]
    frames = _WITH_ROOM if view.room else _WITHOUT_ROOM
    words = [_phrase(thing, rng) for thing in things]
    sides = {f"s{k}": _side(thing) for k, thing in enumerate(things)}
    room = with_article(say(view.room, rng)) if view.room else ""
    return pick(frames[count], rng).format(*words, r=room, **sides)


def _conspicuous(view: View) -> list[Thing]:
    """The largest plain things, one of each name."""
    found: dict[str, Thing] = {}
    for thing in view.things:
        if thing.area >= CLEAR:
            found.setdefault(thing.name, thing)
    return list(found.values())[:_TOLD]


def _phrase(thing: Thing, rng: np.random.Generator) -> str:
    return with_article(f"{thing.colour} {say(thing.name, rng)}".strip())


def _side(thing: Thing) -> str:
    if abs(thing.across) < _ASIDE:
        return "in the middle"
    return "on the left" if thing.across < 0 else "on the right"
