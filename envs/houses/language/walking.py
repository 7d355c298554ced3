"""Check whether a walk fits an act, and whether a statement is true at a viewpoint."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from clipnav.envs.houses.language.acts import STATEMENTS, Act
from clipnav.envs.houses.language.sight import PASSED_WITHIN, Sight
from clipnav.envs.houses.survey.visibility import NEAR

Walk = tuple[int, ...]

_STRAIGHT = 35  # largest bend of "straight ahead" in degrees
IN_FRONT = 75  # largest angle in degrees between the first edge and the landmark of a walk
_DISTANCE_TOLERANCE = (0.8, 0.25)  # largest error of a mentioned distance: metres, and fraction


def agrees(sight: Sight, act: Act, walk: Walk, facing: float, is_turned: bool = False) -> bool:
    """Return whether an act is true of a walk.

    Args:
        facing: Heading in radians on arrival at the first viewpoint.
    """
    if act.kind in STATEMENTS:
        here = walk[0]
        if act.room and sight.room_kind(here) != act.room:
            return False
        if act.mention is None:
            return True
        if act.kind == "stop":
            fits = sight.fits(act.mention) & sight.survey.near(here)
            return bool(fits.sum() > act.mention.plural)
        things = sight.referents(act.mention, here, facing)
        return any(sight.is_on_side(act.side, here, facing, thing) for thing in things)
    if act.metres and not _is_about(act.metres, sight.length(walk)):
        return False
    if act.kind == "straight":
        return is_straight(sight, walk, None if is_turned else facing)
    return _RULES[act.kind](sight, act, walk, facing)


def can_begin(sight: Sight, act: Act, walk: Walk) -> bool:
    """Return whether an act can begin with a walk, by a rule that is quick to check."""
    if act.kind == "straight":
        return is_straight(sight, walk, None)
    if act.kind not in ("past", "toward", "reach"):
        return True
    things = things_in_front(sight, act, walk, IN_FRONT)
    return any(act.kind == "past" or _nears(sight, walk, thing) for thing in things)


def headings(sight: Sight, walk: Walk) -> list[float]:
    """Return the headings in radians of the edges of a walk."""
    return [sight.heading(here, there) for here, there in pairwise(walk)]


def _is_about(mentioned: int, metres: float) -> bool:
    return abs(mentioned - metres) <= max(_DISTANCE_TOLERANCE[0], _DISTANCE_TOLERANCE[1] * metres)


def is_straight(sight: Sight, walk: Walk, facing: float | None) -> bool:
    """Return whether a walk has no large bend, from the heading `facing` on if that is given."""
    turns = headings(sight, walk)
    turns = turns if facing is None else [facing, *turns]
    return all(abs(sight.relative(after, before)) <= _STRAIGHT for before, after in pairwise(turns))


def _in_one_room(sight: Sight, walk: Walk) -> bool:
    room = sight.rooms[walk[0]]
    return all(sight.rooms[viewpoint] == room for viewpoint in walk)


def _walks_through(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    return sight.room_kind(walk[0]) == act.room and _in_one_room(sight, walk)


def _walks_to_end(sight: Sight, act: Act, walk: Walk, facing: float) -> bool:
    """Return whether a walk is straight, in one room, and no viewpoint of the room is ahead."""
    if not _walks_through(sight, act, walk, facing):
        return False
    turns = headings(sight, walk)
    if any(abs(sight.relative(after, before)) > IN_FRONT for before, after in pairwise(turns)):
        return False
    last = walk[-1]
    return not any(
        sight.rooms[other] == sight.rooms[last]
        and abs(sight.relative(sight.heading(last, other), turns[-1])) <= 50
        for other in sight.neighbours[last]
        if other not in walk
    )


def _leaves(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    is_right_room = not act.room or sight.room_kind(walk[0]) == act.room
    return is_right_room and _crosses_last(sight, walk)


def _crosses_last(sight: Sight, walk: Walk) -> bool:
    """Return whether only the last edge of a walk leads into another room."""
    rooms = sight.rooms
    return _in_one_room(sight, walk[:-1]) and rooms[walk[-1]] != rooms[walk[-2]]


def _enters(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    survey, last = sight.survey, walk[-1]
    if act.room and sight.room_kind(last) != act.room:
        return False
    if not _crosses_last(sight, walk):
        return False
    if act.mention is None:
        return True
    noticed = sight.noticed[walk[-2]] | sight.noticed[last]
    fits = sight.fits(act.mention) & noticed & (survey.object_rooms == survey.rooms[last])
    return bool(fits.sum() > act.mention.plural)


def _takes_door(sight: Sight, act: Act, walk: Walk, facing: float) -> bool:
    doorway = sight.doorway(act.side, act.ordinal, walk[0], facing)
    is_taken = doorway >= 0 and sight.doorways.get((walk[-2], walk[-1])) == doorway
    return is_taken and _crosses_last(sight, walk)


def things_in_front(sight: Sight, act: Act, walk: Walk, within: float) -> list[int]:
    """Return possible landmarks of a walk: noticed at its start, in front of its first edge."""
    return sight.in_front(act.mention, walk[0], walk[1], within) if act.mention else []


def _passes(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    """Return whether a walk passes an object ahead of its first and beside its last edge."""
    here, there = walk[-2:]
    length = sight.lengths[here][there]
    for thing in things_in_front(sight, act, walk, IN_FRONT):
        along, reach = sight.passing(here, there, thing)
        if not (0.3 < along < length + 0.3 and reach <= PASSED_WITHIN):
            continue
        ahead = sight.heading(here, there)
        if not act.side or sight.is_on_side(act.side, here, ahead, thing):
            return True
    return False


def _goes_toward(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    return any(_nears(sight, walk, thing) for thing in things_in_front(sight, act, walk, 40))


def _reaches(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    """Return whether a walk approaches an object and is near it only at the end."""
    gaps, last = sight.gaps[walk[-2]], sight.gaps[walk[-1]]
    return any(
        last[thing] <= NEAR < gaps[thing] and _nears(sight, walk, thing)
        for thing in things_in_front(sight, act, walk, IN_FRONT)
    )


def _nears(sight: Sight, walk: Walk, thing: int) -> bool:
    """Return whether every edge clearly reduces the distance to an object."""
    gaps, lengths = sight.gaps, sight.lengths
    return all(
        gaps[here][thing] - gaps[there][thing] >= 0.35 * lengths[here][there]
        for here, there in pairwise(walk)
    )


def _crosses_over(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    start, end = sight.survey.positions[list(walk[-2:])]
    points = (start, (start + end) / 2, end)
    things = things_in_front(sight, act, walk, 180)
    return any(sight.survey.gaps_at(point)[thing] == 0 for thing in things for point in points)


def _climbs(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    """Return whether a walk is a flight of stairs in the direction of the act.

    The first and last edge climb, and level edges are only between them. No stairs remain, unless
    the act says that the walk ends in the stairwell.
    """
    direction = 1 if act.kind == "up" else -1
    climbs = [sight.survey.climb(here, there) for here, there in pairwise(walk)]
    if climbs[0] != direction or climbs[-1] != direction:
        return False
    if not all(sight.is_stair(here, there, direction) for here, there in pairwise(walk)):
        return False
    if act.room:
        return sight.room_kind(walk[-1]) == act.room
    ahead = [other for other in sight.neighbours[walk[-1]] if other not in walk]
    return all(sight.survey.climb(walk[-1], other) != direction for other in ahead)


_RULES: dict[str, Callable[[Sight, Act, Walk, float], bool]] = {
    "past": _passes,
    "toward": _goes_toward,
    "reach": _reaches,
    "across": _crosses_over,
    "through": _walks_through,
    "along": _walks_through,
    "end": _walks_to_end,
    "leave": _leaves,
    "enter": _enters,
    "door": _takes_door,
    "up": _climbs,
    "down": _climbs,
}
