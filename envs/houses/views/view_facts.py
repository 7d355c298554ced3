"""What is true of one view of a house, read off its object-id image.

A fact is a tuple of words:

    ("room", kind)              the view shows mostly a room of that kind, and something in it that
                                tells the kind; a bare wall may belong to any room
    ("glimpse", kind)           a room of that kind shows beside the main one, through an opening
    ("thing", noun)             a thing of that category can be made out
    ("thing", noun, colour)     ... and is of that colour
    ("side", noun, side)        ... and lies at the "left", "right" or "middle" of the view
    ("distance", noun, word)    ... and is "near" or "far"
    ("bare",)                   next to nothing but walls, floor and ceiling

Many facts are neither clearly true nor clearly false (a table leg at the edge of the view), hence
two sets: what holds, and what may hold. Training must not take the difference for wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from envs.houses.meshes.scene import ObjectInfo

Fact = tuple[str, ...]

# Parts of the building that nobody points out; every other category is a noun.
UNMENTIONED = frozenset(
    {"floor", "wall", "ceiling", "skirting", "door frame", "archway", "outside"}
)
# Things that stand in rooms of every kind and so do not tell which kind it is.
EVERYWHERE = frozenset(
    {"door", "window", "curtain", "ceiling light", "picture", "plant", "rug", "mirror"}
)
# Things whose colour is not what one would say of them.
COLOURLESS = frozenset({"window", "picture", "mirror", "ceiling light"})
# Fractions of the view from which a thing, or a room, clearly shows or may show.
THING_HOLDS, THING_MAY = 0.006, 0.0008
ROOM_HOLDS, ROOM_MAY = 0.45, 0.15
GLIMPSE_HOLDS, GLIMPSE_MAY = 0.02, 0.004
TELLING_HOLDS = 0.01
BARE_HOLDS, BARE_MAY = 0.01, 0.04
# Intervals of the thing's centre, -1 at the left edge and 1 at the right one, and of its mean
# distance in metres: the narrow one holds, the wide one may hold.
SIDES = {
    "left": ((-1.0, -0.3), (-1.0, -0.1)),
    "middle": ((-0.25, 0.25), (-0.45, 0.45)),
    "right": ((0.3, 1.0), (0.1, 1.0)),
}
DISTANCES = {"near": ((0.0, 2.0), (0.0, 2.7)), "far": ((3.5, 99.0), (2.8, 99.0))}


@dataclass(frozen=True)
class ThingInView:
    """What a view shows of one object.

    Attributes:
        category: plain English noun.
        colour: name of its colour, "" where it has none worth naming.
        area: share of the view that it covers.
        across: its middle: -1 at the left edge of the view, 1 at the right one.
        distance: mean over what shows of it, in metres; nan where no depth is known.
    """

    category: str
    colour: str
    area: float
    across: float
    distance: float

    @property
    def is_clear(self) -> bool:
        """Whether it can be made out for certain."""
        return self.area >= THING_HOLDS


@dataclass(frozen=True)
class ViewFacts:
    """Facts about one view.

    Attributes:
        holds: What is clearly true.
        may_hold: What is not clearly false; contains `holds`.
    """

    holds: frozenset[Fact]
    may_hold: frozenset[Fact]

    @property
    def room(self) -> str:
        """The only kind of room that the view plainly shows, or ""."""
        kinds = [fact[1] for fact in self.holds if fact[0] == "room"]
        return kinds[0] if len(kinds) == 1 else ""

    def without_colours(self) -> ViewFacts:
        """The facts of the same view in doubtful colours: none holds, every one may."""
        kept = frozenset(fact for fact in self.holds if not is_colour(fact))
        return ViewFacts(kept, self.may_hold)


def is_colour(fact: Fact) -> bool:
    """Whether a fact speaks of a colour."""
    return fact[0] == "thing" and len(fact) == 3


def view_facts(
    object_id: np.ndarray,
    objects: Sequence[ObjectInfo],
    room_kinds: Sequence[str],
    depth: np.ndarray | None = None,
) -> ViewFacts:
    """Facts about a view.

    Args:
        object_id: (H, W) int32 indices into `objects`, -1 for the sky.
        objects: The scene's objects.
        room_kinds: Kind of each room that `ObjectInfo.room` may name.
        depth: (H, W) metres along the ray; without it all may be near or far.
    """
    things = things_in_view(object_id, objects, depth)
    notes = _Notes()
    for thing in things:
        _note_thing(notes, thing)
    _note_rooms(notes, _areas(object_id, len(objects)), objects, room_kinds)
    furnished = sum(thing.area for thing in things)
    notes.add(("bare",), furnished < BARE_HOLDS, furnished < BARE_MAY)
    return ViewFacts(frozenset(notes.holds), frozenset(notes.may_hold))


def things_in_view(
    object_id: np.ndarray, objects: Sequence[ObjectInfo], depth: np.ndarray | None = None
) -> list[ThingInView]:
    """What a view shows, in the order of the objects, without the parts of the building.

    Args:
        object_id: (H, W) int32 indices into `objects`, -1 for the sky.
        objects: The scene's objects.
        depth: (H, W) metres along the ray, if distances are wanted.
    """
    area = _areas(object_id, len(objects))
    across = _mean(object_id, np.linspace(-1, 1, object_id.shape[1]), area)
    away = np.full(len(objects), np.nan)
    if depth is not None:
        away = _mean(object_id, np.minimum(depth, 50.0), area)
    return [
        ThingInView(
            objects[index].category,
            objects[index].colour,
            float(area[index]),
            float(across[index]),
            float(away[index]),
        )
        for index in np.flatnonzero(area >= THING_MAY).tolist()
        if objects[index].category not in UNMENTIONED
    ]


class _Notes:
    def __init__(self) -> None:
        self.holds: set[Fact] = set()
        self.may_hold: set[Fact] = set()

    def add(self, fact: Fact, holds: bool, may_hold: bool) -> None:
        if holds:
            self.holds.add(fact)
        if holds or may_hold:
            self.may_hold.add(fact)


def _areas(object_id: np.ndarray, count: int) -> np.ndarray:
    """Share of an image that each of `count` objects covers."""
    return np.bincount(object_id.ravel() + 1, minlength=count + 1)[1:] / object_id.size


def _mean(object_id: np.ndarray, values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Mean of an image over the pixels of each object, of which the shares are known."""
    weights = np.broadcast_to(values, object_id.shape).ravel()
    totals = np.bincount(object_id.ravel() + 1, weights, minlength=len(area) + 1)[1:]
    return totals / np.maximum(np.rint(area * object_id.size), 1)


def _note_thing(notes: _Notes, thing: ThingInView) -> None:
    noun, clear, across = thing.category, thing.is_clear, thing.across
    notes.add(("thing", noun), clear, True)
    if thing.colour and noun not in COLOURLESS:
        notes.add(("thing", noun, thing.colour), clear, True)
    for side, (narrow, wide) in SIDES.items():
        notes.add(("side", noun, side), clear and _within(across, narrow), _within(across, wide))
    for word, (narrow, wide) in DISTANCES.items():
        holds = clear and _within(thing.distance, narrow)  # not where the distance is nan
        may_hold = isnan(thing.distance) or _within(thing.distance, wide)
        notes.add(("distance", noun, word), holds, may_hold)


def _note_rooms(
    notes: _Notes, area: np.ndarray, objects: Sequence[ObjectInfo], room_kinds: Sequence[str]
) -> None:
    shares: dict[int, float] = {}
    telling: dict[int, float] = {}
    for index in np.flatnonzero(area).tolist():
        thing = objects[index]
        if thing.room >= 0:
            share = float(area[index])
            shares[thing.room] = shares.get(thing.room, 0.0) + share
            if thing.category not in UNMENTIONED | EVERYWHERE:
                telling[thing.room] = telling.get(thing.room, 0.0) + share
    total = sum(shares.values())
    main = max(shares, key=lambda room: shares[room], default=-1)
    for room, share in shares.items():
        kind = room_kinds[room]
        fraction = share / total
        told = telling.get(room, 0.0) >= TELLING_HOLDS
        notes.add(("room", kind), told and fraction >= ROOM_HOLDS, fraction >= ROOM_MAY)
        # Of the main room one does not say that it shows somewhere, but it would not be wrong.
        glimpsed = room != main and fraction >= GLIMPSE_HOLDS
        notes.add(("glimpse", kind), told and glimpsed, fraction >= GLIMPSE_MAY)


def _within(value: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= value <= interval[1]
