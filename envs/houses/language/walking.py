"""Whether a walk does what an act says, and whether what an act says of a place is true."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from envs.houses.language.acts import STATEMENTS, Act
from envs.houses.language.sight import Sight
from envs.houses.survey.visibility import NEAR
from envs.houses.survey.waymarks import PASSED_WITHIN

Walk = tuple[int, ...]

STRAIGHT = 35  # degrees that "straight on" may bend
IN_FRONT = 75  # degrees to either hand of a first step within which a thing lies to be walked to
ROUGHLY = (0.8, 0.25)  # metres, and fraction, by which a distance that is said may be wrong


def agrees(sight: Sight, act: Act, walk: Walk, facing: float, is_turned: bool = False) -> bool:
    """Whether a walk is one that an act describes.

    Args:
        sight: The house.
        act: A walking act, or a statement.
        walk: Viewpoints, the first one included; that one alone for a statement.
        facing: Heading in radians on arrival at the first viewpoint.
        is_turned: Whether an act just said where to turn, so that the first step need not lead
            straight on.
    """
    if act.kind in STATEMENTS:
        return _is_true(sight, act, walk[0], facing)
    if act.metres and not _is_about(act.metres, sight.length(walk)):
        return False
    if act.kind == "straight":
        return _is_straight(sight, walk, None if is_turned else facing)
    return _RULES[act.kind](sight, act, walk, facing)


def headings(sight: Sight, walk: Walk) -> list[float]:
    """Headings in radians of the edges of a walk."""
    return [sight.heading(here, there) for here, there in pairwise(walk)]


def _is_true(sight: Sight, act: Act, here: int, facing: float) -> bool:
    if act.room and sight.room_kind(here) != act.room:
        return False
    if act.mention is None:
        return True
    if act.kind == "stop":
        fits = sight.fits(act.mention) & sight.survey.near(here)
        return bool(fits.sum() > act.mention.plural)
    things = sight.meant(act.mention, here, facing)
    return any(sight.is_on_side(act.side, here, facing, thing) for thing in things)


def _is_about(said: int, metres: float) -> bool:
    return abs(said - metres) <= max(ROUGHLY[0], ROUGHLY[1] * metres)


def _is_straight(sight: Sight, walk: Walk, facing: float | None) -> bool:
    turns = headings(sight, walk)
    turns = turns if facing is None else [facing, *turns]
    return all(abs(sight.relative(after, before)) <= STRAIGHT for before, after in pairwise(turns))


def _in_one_room(sight: Sight, walk: Walk) -> bool:
    room = sight.rooms[walk[0]]
    return all(sight.rooms[viewpoint] == room for viewpoint in walk)


def _walks_through(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    return sight.room_kind(walk[0]) == act.room and _in_one_room(sight, walk)


def _walks_to_end(sight: Sight, act: Act, walk: Walk, facing: float) -> bool:
    """Straight on within a room until no viewpoint of the room lies ahead."""
    if not _walks_through(sight, act, walk, facing):
        return False
    turns = headings(sight, walk)
    if any(abs(sight.relative(after, before)) > IN_FRONT for before, after in pairwise(turns)):
        return False
    survey, last = sight.survey, walk[-1]
    return not any(
        survey.rooms[other] == survey.rooms[last]
        and abs(sight.relative(sight.heading(last, other), turns[-1])) <= 50
        for other in sight.neighbours[last]
        if other not in walk
    )


def _leaves(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    is_room = not act.room or sight.room_kind(walk[0]) == act.room
    return is_room and _crosses_last(sight, walk)


def _crosses_last(sight: Sight, walk: Walk) -> bool:
    """Whether only the last edge of a walk leads into another room."""
    rooms = sight.survey.rooms
    return _in_one_room(sight, walk[:-1]) and rooms[walk[-1]] != rooms[walk[-2]]


def _enters(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    survey, last = sight.survey, walk[-1]
    if sight.room_kind(last) != act.room or not _crosses_last(sight, walk):
        return False
    if act.mention is None:
        return True
    shown = sight.noticed[walk[-2]] | sight.noticed[last]
    fits = sight.fits(act.mention) & shown & (survey.object_rooms == survey.rooms[last])
    return bool(fits.sum() > act.mention.plural)


def _takes_door(sight: Sight, act: Act, walk: Walk, facing: float) -> bool:
    way = sight.doorway(act.side, act.ordinal, walk[0], facing)
    is_taken = way >= 0 and sight.doorways.get((walk[-2], walk[-1])) == way
    return is_taken and _crosses_last(sight, walk)


def _things_in_front(sight: Sight, act: Act, walk: Walk, within: float) -> list[int]:
    """What the landmark of a walk may be: noticed where it begins, in front of its first step."""
    if act.mention is None:
        return []
    ahead = sight.heading(walk[0], walk[1])
    return [
        thing
        for thing in sight.meant(act.mention, walk[0], ahead)
        if abs(sight.angle(walk[0], ahead, thing)) <= within
    ]


def _passes(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    """Past a thing that lies ahead at first and beside the last edge."""
    here, there = walk[-2:]
    length = sight.length((here, there))
    for thing in _things_in_front(sight, act, walk, IN_FRONT):
        along, reach = sight.passing(here, there, thing)
        if not (0.3 < along < length + 0.3 and reach <= PASSED_WITHIN):
            continue
        ahead = sight.heading(here, there)
        if not act.side or sight.is_on_side(act.side, here, ahead, thing):
            return True
    return False


def _goes_toward(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    return any(_nears(sight, walk, thing) for thing in _things_in_front(sight, act, walk, 40))


def _reaches(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    """Up to a thing: near it at the end, and not before."""
    gaps = sight.survey.gaps
    return any(
        _nears(sight, walk, thing) and gaps[walk[-1], thing] <= NEAR < gaps[walk[-2], thing]
        for thing in _things_in_front(sight, act, walk, IN_FRONT)
    )


def _nears(sight: Sight, walk: Walk, thing: int) -> bool:
    """Whether every edge brings one clearly nearer to a thing."""
    gaps = sight.survey.gaps[:, thing]
    return all(
        gaps[here] - gaps[there] >= 0.35 * sight.length((here, there))
        for here, there in pairwise(walk)
    )


def _crosses_over(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    start, end = sight.survey.positions[list(walk[-2:])]
    points = (start, (start + end) / 2, end)
    things = _things_in_front(sight, act, walk, 180)
    return any(sight.survey.gaps_at(point)[thing] == 0 for thing in things for point in points)


def _climbs(sight: Sight, act: Act, walk: Walk, _: float) -> bool:
    """A whole flight: stairs at both ends, level edges only between them, none left to take."""
    way = 1 if act.kind == "up" else -1
    climbs = [sight.survey.climb(here, there) for here, there in pairwise(walk)]
    if climbs[0] != way or climbs[-1] != way:
        return False
    if not all(sight.is_stair(here, there, way) for here, there in pairwise(walk)):
        return False
    ahead = [other for other in sight.neighbours[walk[-1]] if other not in walk]
    return all(sight.survey.climb(walk[-1], other) != way for other in ahead)


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
