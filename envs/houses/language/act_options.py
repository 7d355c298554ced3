"""Acts that can describe a segment of a path, with weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product

from clipnav.envs.houses.language.acts import EDGE_RANGES, Act, Mention
from clipnav.envs.houses.language.grammar import DISTANCES
from clipnav.envs.houses.language.mentions import mention_options
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.walking import Walk
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.plan.room_layout import HALL_KINDS

MEASURED = ("straight", "through", "along")  # acts that can mention their length
SIDE = 0.05  # factor on the side of a landmark that is passed
# Weight of each kind of act among those that fit a segment.
WEIGHTS = {
    "straight": 0.4,
    "past": 2.5,
    "toward": 1.2,
    "reach": 2.0,
    "across": 1.5,
    "through": 1.6,
    "along": 1.6,
    "end": 2.0,
    "leave": 3.0,
    "enter": 3.5,
    "door": 2.0,
    "up": 8.0,
    "down": 8.0,
}


def act_options(
    sight: Sight, path: Walk, position: int
) -> Iterator[tuple[Act, int, float, tuple[int, ...]]]:
    """Yield acts that can describe a segment of a path that begins at a position.

    Not every act is true of its segment; `walking.agrees` checks this.
    """
    for kind, (fewest, most) in EDGE_RANGES.items():
        for last in range(position + fewest, min(position + most, len(path) - 1) + 1):
            walk = path[position : last + 1]
            climbs = any(sight.survey.climb(here, there) for here, there in pairwise(walk))
            if climbs != (kind in ("up", "down")):  # only these acts describe stairs
                continue
            for act, weight, things in _acts_of_kind(sight, kind, walk):
                if kind in ("up", "down") and act.room and last < len(path) - 1:
                    continue
                yield act, last, weight * WEIGHTS[kind], things


def _acts_of_kind(
    sight: Sight, kind: str, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Yield the acts of one kind for a walk: (act, weight, objects)."""
    room, into = sight.room_kind(walk[0]), sight.room_kind(walk[-1])
    if kind in ("past", "toward", "reach", "across"):
        yield from _landmark_acts(sight, kind, walk)
    elif kind == "enter":
        yield Act(kind, room=into), 1.0, ()
        yield Act(kind), 0.4, ()
        yield from _furnished_rooms(sight, walk)
    elif kind == "door" and not _sees_closed_doors(sight, walk[0]):
        for side, ordinal in product(("left", "right"), (1, 2, 3)):
            yield Act(kind, side=side, ordinal=ordinal), 0.5 + 0.5 * ordinal, ()
    else:
        for act, weight in _plain_acts(kind, room, into):
            yield from ((one, weight, ()) for one in _with_distance(sight, act, walk))


def _plain_acts(kind: str, room: str, into: str) -> list[tuple[Act, float]]:
    """Return the acts of a kind that mention at most the room of a walk, with weights."""
    is_hall = room in HALL_KINDS
    if kind == "leave":
        return [(Act(kind, room), 0.2)] if is_hall else [(Act(kind, room), 1.0), (Act(kind), 0.5)]
    if kind in ("through", "along") and is_hall != (kind == "along"):
        return []
    if kind in ("end", "through", "along"):
        return [(Act(kind, room), 1.0)]
    if kind in ("up", "down") and into == STAIRWELL:
        return [(Act(kind), 1.0), (Act(kind, STAIRWELL), 0.5)]
    return [(Act(kind), 1.0)] if kind in ("straight", "up", "down") else []


def _sees_closed_doors(sight: Sight, here: int) -> bool:
    """Return whether a closed door is visible, which makes counting doorways ambiguous."""
    return bool((sight.fits(Mention("closed door")) & sight.noticed[here]).any())


def _with_distance(sight: Sight, act: Act, walk: Walk) -> list[Act]:
    """Return an act without and, if the grammar has a word for its length, with a distance."""
    metres = round(sight.length(walk))
    acts = [act]
    if act.kind in MEASURED and metres in DISTANCES and len(walk) > 2:
        acts.append(Act(act.kind, act.room, metres=metres))
    return acts


def _landmark_acts(
    sight: Sight, kind: str, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Yield acts about a landmark ahead of the first edge of a walk."""
    here, ahead = walk[0], sight.heading(walk[0], walk[1])
    for thing in sight.things[here]:
        # Rugs are walked across, other landmarks are passed.
        is_rug = sight.survey.objects[thing].category == "rug"
        if (kind == "across") != is_rug and kind in ("across", "past"):
            continue
        if abs(sight.angle(here, ahead, thing)) > 80:
            continue
        visible = min(sight.largest[here][thing], 0.15) / 0.15 + 0.2
        for mention, weight in mention_options(sight, here, ahead, thing):
            things = tuple(sight.referents(mention, here, ahead)) if mention.plural else (thing,)
            weight *= visible
            yield Act(kind, mention=mention), weight, things
            if kind == "past" and not mention.plural:
                ahead_last = sight.heading(*walk[-2:])
                for side in ("left", "right"):
                    if sight.is_on_side(side, walk[-2], ahead_last, thing):
                        yield Act(kind, mention=mention, side=side), SIDE * weight, things


def _furnished_rooms(sight: Sight, walk: Walk) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Yield "enter" acts that identify the room by an object visible from its door."""
    door, inside = walk[-2:]
    ahead = sight.heading(door, inside)
    room = sight.survey.rooms[inside]
    for thing in sight.things[door]:
        if sight.survey.object_rooms[thing] != room:
            continue
        for mention, weight in mention_options(sight, door, ahead, thing):
            if not mention.ordinal:
                act = Act("enter", room=sight.room_kind(inside), mention=mention)
                yield act, 0.4 * weight, (thing,)
