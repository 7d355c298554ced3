"""Follows parsed instructions with ground-truth sight, to tell which of them can be followed.

The follower keeps the ways to understand what it has read: the places where it may stand after each
act, and the walk there that comes by the fewest viewpoints. An instruction is clear when all ways
of understanding it end at one place. Whoever walks while reading cannot wait for what comes: how
far that leads `follow_at_once` tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from envs.houses.language.acts import EDGES, TURNS, Act
from envs.houses.language.sight import Sight
from envs.houses.language.walking import Walk, agrees

MOST_PLACES = 400  # ways of understanding that are kept, those of the fewest viewpoints


@dataclass(frozen=True)
class Followed:
    """Where an instruction leads.

    Attributes:
        path: Viewpoints of the way to understand it that is shortest in metres, of those kept; or
            as far as it could be followed.
        ends: Where the ways to understand it that were kept end.
        is_complete: Whether all acts could be followed.
    """

    path: Walk
    ends: frozenset[int]
    is_complete: bool


@dataclass(frozen=True)
class _Place:
    """Where one may stand: viewpoint, where one faces and a turn that the next step must take."""

    viewpoint: int
    facing: float
    turn: Act | None = None


def follow(sight: Sight, acts: Sequence[Act], start: int, heading: float) -> Followed:
    """Follows acts from a viewpoint.

    Args:
        sight: The house.
        acts: What was read.
        start: First viewpoint.
        heading: Radians clockwise from +y at the start.
    """
    places: dict[_Place, Walk] = {_Place(start, heading): (start,)}
    for act in acts:
        after: dict[_Place, Walk] = {}
        for place, path in places.items():
            for next_place, walk in _outcomes(sight, act, place, path):
                longer = path + walk[1:]
                if next_place not in after or len(longer) < len(after[next_place]):
                    after[next_place] = longer
        if not after:
            return _followed(sight, places, False)
        ranked = sorted(after.items(), key=lambda one: len(one[1]))[:MOST_PLACES]
        places = dict(ranked)
    return _followed(sight, places, True)


def follow_at_once(
    sight: Sight, acts: Sequence[Act], start: int, heading: float, rng: np.random.Generator
) -> Walk:
    """Follows acts one after another, each by chance on one of the walks that it fits.

    Args:
        sight: The house.
        acts: What was read.
        start: First viewpoint.
        heading: Radians clockwise from +y at the start.
        rng: Source of all choices.

    Returns:
        The walk to the goal, or to where nothing fits what is said next.
    """
    place, path = _Place(start, heading), (start,)
    for act in acts:
        outcomes = list(_outcomes(sight, act, place, path))
        if not outcomes:
            break
        place, walk = outcomes[rng.integers(len(outcomes))]
        path += walk[1:]
    return path


def _followed(sight: Sight, places: dict[_Place, Walk], is_complete: bool) -> Followed:
    path = min(places.values(), key=lambda path: (sight.length(path), path))
    ends = frozenset(place.viewpoint for place in places)
    return Followed(path, ends, is_complete)


def _outcomes(sight: Sight, act: Act, place: _Place, path: Walk) -> Iterator[tuple[_Place, Walk]]:
    """Places to which an act may lead, each with the walk there."""
    here = place.viewpoint
    if act.kind in TURNS:
        yield _Place(here, place.facing, act), (here,)
    elif act.kind not in EDGES:
        if agrees(sight, act, (here,), place.facing):
            yield place, (here,)
    else:
        for walk in walks(sight, act.kind, here, path):
            if fits_turn(sight, place.turn, walk, place.facing) and agrees(
                sight, act, walk, place.facing, place.turn is not None
            ):
                yield _Place(walk[-1], sight.heading(*walk[-2:])), walk


def fits_turn(sight: Sight, turn: Act | None, walk: Walk, facing: float) -> bool:
    """Whether the first step of a walk takes the turn that was said, if any was."""
    heading = sight.heading(walk[0], walk[1])
    return turn is None or sight.leads_to(turn.kind, turn.side, heading, facing)


def walks(sight: Sight, kind: str, start: int, path: Walk) -> Iterator[Walk]:
    """Walks from a viewpoint that an act of a kind could take; they come by nothing twice.

    Args:
        sight: The house.
        kind: Of the act: it says how many edges it takes and over which it leads.
        start: First viewpoint.
        path: How one came there; its viewpoints are not come by again.
    """
    fewest, most = EDGES[kind]
    waiting: list[Walk] = [(start,)]
    while waiting:
        walk = waiting.pop()
        if len(walk) > fewest:
            yield walk
        if len(walk) <= most:
            waiting += [
                (*walk, there)
                for there in sight.neighbours[walk[-1]]
                if there not in walk and there not in path and _leads(sight, kind, walk, there)
            ]


def _leads(sight: Sight, kind: str, walk: Walk, there: int) -> bool:
    """Whether a walk of an act may go on to a viewpoint: by stairs, or within the first room."""
    if kind in ("up", "down"):
        return sight.is_stair(walk[-1], there, 1 if kind == "up" else -1)
    room = sight.rooms[walk[0]]
    if kind in ("through", "along", "end"):
        return sight.rooms[there] == room
    return kind not in ("leave", "enter", "door") or sight.rooms[walk[-1]] == room
