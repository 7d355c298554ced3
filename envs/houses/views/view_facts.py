"""Facts about one view of a house, computed from its object-id image.

A fact is a tuple of words:

    ("room", kind)              most of the view is a room of this kind, and an object in it
                                identifies the kind; a bare wall can belong to any room
    ("glimpse", kind)           a room of this kind is visible through an opening
    ("thing", noun)             an object of this category is visible
    ("thing", noun, colour)     ... and has this colour
    ("side", noun, side)        ... and is at the "left", "right" or "middle" of the view
    ("distance", noun, word)    ... and is "near" or "far"
    ("bare",)                   almost only walls, floor and ceiling are visible

Many facts are neither clearly true nor clearly false (a table leg at the edge of the view).
Therefore there are two sets: facts that hold, and facts that may hold. Training must not treat a
fact that may hold as false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clipnav.envs.models.scene import ObjectInfo

Fact = tuple[str, ...]

# Parts of the building that captions never mention; every other category is a noun.
UNMENTIONED = frozenset(
    {"floor", "wall", "ceiling", "skirting", "door frame", "archway", "outside"}
)
# Objects in rooms of every kind, which do not identify the kind.
EVERYWHERE = frozenset(
    {"door", "window", "curtain", "ceiling light", "picture", "plant", "rug", "mirror"}
)
# Objects whose colour captions never mention.
COLOURLESS = frozenset({"window", "picture", "mirror", "ceiling light"})
# Smallest fractions of the view for an object or a room to be clearly or possibly visible.
_THING_HOLDS, THING_MAY = 0.006, 0.0008
_ROOM_HOLDS, _ROOM_MAY = 0.45, 0.15
_GLIMPSE_HOLDS, _GLIMPSE_MAY = 0.02, 0.004
_IDENTIFYING_HOLDS = 0.01
_BARE_HOLDS, _BARE_MAY = 0.01, 0.04
# Intervals of an object's centre, from -1 (left edge) to 1 (right edge), and of its mean distance
# in metres. Within the first interval a fact holds, within the second it may hold.
SIDES = {
    "left": ((-1.0, -0.3), (-1.0, -0.1)),
    "middle": ((-0.25, 0.25), (-0.45, 0.45)),
    "right": ((0.3, 1.0), (0.1, 1.0)),
}
DISTANCES = {"near": ((0.0, 2.0), (0.0, 2.7)), "far": ((3.5, 99.0), (2.8, 99.0))}


@dataclass(frozen=True)
class ThingInView:
    """Visible part of one object in a view.

    Attributes:
        category: Plain English noun.
        colour: Name of the colour, or "" if it has no single colour.
        area: Fraction of the view that the object covers.
        across: Horizontal position of the centre: -1 at the left edge of the view, 1 at the right.
        distance: Mean distance of the visible part in metres; nan if the depth is unknown.
    """

    category: str
    colour: str
    area: float
    across: float
    distance: float

    @property
    def is_clear(self) -> bool:
        """Whether the object is large enough to be clearly visible."""
        return self.area >= _THING_HOLDS


@dataclass(frozen=True)
class ViewFacts:
    """Facts about one view.

    Attributes:
        holds: Facts that are clearly true.
        may_hold: Facts that are not clearly false; a superset of `holds`.
        largest: Category of the object that covers most of the view, "" if no object is clearly
            visible.
    """

    holds: frozenset[Fact]
    may_hold: frozenset[Fact]
    largest: str = ""

    @property
    def room(self) -> str:
        """The only kind of room that the view clearly shows, or ""."""
        kinds = [fact[1] for fact in self.holds if fact[0] == "room"]
        return kinds[0] if len(kinds) == 1 else ""

    def without_colours(self) -> ViewFacts:
        """Return the facts of a view with unreliable colours: none holds, but all still may."""
        kept = frozenset(fact for fact in self.holds if not is_colour(fact))
        return replace(self, holds=kept)


def is_colour(fact: Fact) -> bool:
    """Return whether a fact is about a colour."""
    return fact[0] == "thing" and len(fact) == 3


def view_facts(
    object_id: np.ndarray,
    objects: Sequence[ObjectInfo],
    room_kinds: Sequence[str],
    depth: np.ndarray | None = None,
) -> ViewFacts:
    """Return the facts about a view.

    Args:
        object_id: (H, W) int32 indices into `objects`, -1 for the sky.
        depth: (H, W) metres along the ray; without it, every object may be near or far.
    """
    things = things_in_view(object_id, objects, depth)
    facts = _FactSets()
    for thing in things:
        noun, clear, across = thing.category, thing.is_clear, thing.across
        facts.add(("thing", noun), clear, True)
        if thing.colour and noun not in COLOURLESS:
            facts.add(("thing", noun, thing.colour), clear, True)
        for side, (narrow, wide) in SIDES.items():
            facts.add(
                ("side", noun, side), clear and _within(across, narrow), _within(across, wide)
            )
        for word, (narrow, wide) in DISTANCES.items():
            holds = clear and _within(thing.distance, narrow)  # not where the distance is nan
            may_hold = isnan(thing.distance) or _within(thing.distance, wide)
            facts.add(("distance", noun, word), holds, may_hold)
    _add_room_facts(facts, _areas(object_id, len(objects)), objects, room_kinds)
    furnished = sum(thing.area for thing in things)
    facts.add(("bare",), furnished < _BARE_HOLDS, furnished < _BARE_MAY)
    clear = [thing for thing in things if thing.is_clear]
    largest = max(clear, key=lambda thing: thing.area).category if clear else ""
    return ViewFacts(frozenset(facts.holds), frozenset(facts.may_hold), largest)


def things_in_view(
    object_id: np.ndarray, objects: Sequence[ObjectInfo], depth: np.ndarray | None = None
) -> list[ThingInView]:
    """Return the visible objects of a view in their order, without parts of the building.

    Args:
        object_id: (H, W) int32 indices into `objects`, -1 for the sky.
        depth: (H, W) metres along the ray; without it, distances are nan.
    """
    area = _areas(object_id, len(objects))
    across = _mean(object_id, np.linspace(-1, 1, object_id.shape[1]), area)
    distance = np.full(len(objects), np.nan)
    if depth is not None:
        distance = _mean(object_id, np.minimum(depth, 50.0), area)
    return [
        ThingInView(
            objects[index].category,
            objects[index].colour,
            float(area[index]),
            float(across[index]),
            float(distance[index]),
        )
        for index in np.flatnonzero(area >= THING_MAY).tolist()
        if objects[index].category not in UNMENTIONED
    ]


class _FactSets:
    def __init__(self) -> None:
        self.holds: set[Fact] = set()
        self.may_hold: set[Fact] = set()

    def add(self, fact: Fact, holds: bool, may_hold: bool) -> None:
        if holds:
            self.holds.add(fact)
        if holds or may_hold:
            self.may_hold.add(fact)


def _areas(object_id: np.ndarray, count: int) -> np.ndarray:
    """Return the fraction of an image that each of `count` objects covers."""
    return np.bincount(object_id.ravel() + 1, minlength=count + 1)[1:] / object_id.size


def _mean(object_id: np.ndarray, values: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the mean of an image over the pixels of each object, whose areas are known."""
    weights = np.broadcast_to(values, object_id.shape).ravel()
    totals = np.bincount(object_id.ravel() + 1, weights, minlength=len(area) + 1)[1:]
    return totals / np.maximum(np.rint(area * object_id.size), 1)


def _add_room_facts(
    facts: _FactSets, area: np.ndarray, objects: Sequence[ObjectInfo], room_kinds: Sequence[str]
) -> None:
    shares: dict[int, float] = {}
    identifying: dict[int, float] = {}
    for index in np.flatnonzero(area).tolist():
        thing = objects[index]
        if thing.room >= 0:
            share = float(area[index])
            shares[thing.room] = shares.get(thing.room, 0.0) + share
            if thing.category not in UNMENTIONED | EVERYWHERE:
                identifying[thing.room] = identifying.get(thing.room, 0.0) + share
    total = sum(shares.values())
    main = max(shares, key=lambda room: shares[room], default=-1)
    for room, share in shares.items():
        kind = room_kinds[room]
        fraction = share / total
        is_identified = identifying.get(room, 0.0) >= _IDENTIFYING_HOLDS
        facts.add(("room", kind), is_identified and fraction >= _ROOM_HOLDS, fraction >= _ROOM_MAY)
        # A glimpse of the main room never holds, but it would not be false.
        is_glimpsed = room != main and fraction >= _GLIMPSE_HOLDS
        facts.add(("glimpse", kind), is_identified and is_glimpsed, fraction >= _GLIMPSE_MAY)


def _within(value: float, interval: tuple[float, float]) -> bool:
    return interval[0] <= value <= interval[1]
