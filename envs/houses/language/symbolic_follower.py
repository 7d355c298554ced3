"""Follow parsed instructions with ground-truth visibility, to check that they can be followed.

`follow` keeps all interpretations of an instruction: the states that are possible after each act,
and the walk with the fewest viewpoints to each of them. An instruction is unambiguous if all
interpretations end at the same viewpoint. `follow_online` simulates an agent that walks while it
reads: it recognises everything that is in sight, but has no map and never turns back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.language.acts import EDGE_RANGES, STATEMENTS, TURNS, Act
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.walking import IN_FRONT, Walk, agrees, can_begin, things_in_front
from clipnav.envs.houses.survey.landmarks import NOTICED

OPEN_ENDED = ("straight", "toward", "through", "along")  # acts without a definite end
_POSSIBLE, _IN_SIGHT, _DONE = range(3)  # how well a step suits an act
_MAX_STATES = 400  # largest number of interpretations; those with the fewest viewpoints are kept


@dataclass(frozen=True)
class FollowResult:
    """Result of following an instruction.

    Attributes:
        path: Viewpoints of the interpretation that is shortest in metres, up to the last act that
            could be followed.
        ends: Last viewpoints of all interpretations.
        is_complete: Whether all acts could be followed.
    """

    path: Walk
    ends: frozenset[int]
    is_complete: bool


@dataclass(frozen=True)
class _State:
    """Possible state of a follower; `turn` is a turn that its next step must take."""

    viewpoint: int
    facing: float  # radians
    turn: Act | None = None


def follow(sight: Sight, acts: Sequence[Act], start: int, heading: float) -> FollowResult:
    """Follow acts from a viewpoint, with all interpretations.

    Args:
        heading: Heading at the start: radians clockwise from +y.
    """
    states: dict[_State, Walk] = {_State(start, heading): (start,)}
    for act in acts:
        after: dict[_State, Walk] = {}
        for state, path in states.items():
            for next_state, walk in _outcomes(sight, act, state, path):
                longer = path + walk[1:]
                if next_state not in after or len(longer) < len(after[next_state]):
                    after[next_state] = longer
        if not after:
            return _result(sight, states, False)
        ranked = sorted(after.items(), key=lambda item: len(item[1]))[:_MAX_STATES]
        states = dict(ranked)
    return _result(sight, states, True)


def follow_online(sight: Sight, acts: Sequence[Act], start: int, heading: float) -> Walk:
    """Follow acts without a map: decide at each viewpoint by what is in sight from there.

    Where several neighbours suit an act equally well, the agent takes the straightest one, or that
    in the direction of the landmark. The walk ends where an act cannot be carried out.

    Args:
        heading: Heading at the start: radians clockwise from +y.
    """
    path, facing = (start,), heading
    turn: Act | None = None
    for number, act in enumerate(acts):
        if act.kind in TURNS:
            turn = act
        elif act.kind in EDGE_RANGES:
            walk = online_walk(sight, act, turn, path, facing, acts[number + 1 :])
            path += walk[1:]
            if len(walk) == 1:
                break
            facing, turn = sight.heading(*walk[-2:]), None
    return path


def online_walk(
    sight: Sight, act: Act, turn: Act | None, path: Walk, facing: float, following: Sequence[Act]
) -> Walk:
    """Return the walk of an agent without a map for an act, from the end of a path.

    It ends as soon as the act is done. An act without a definite end ("walk through the kitchen")
    is done where the next one can begin. If the act cannot be completed, the walk is as far as the
    agent got.

    Args:
        turn: Turn that the first edge must take, or None.
        facing: Heading in radians on arrival at the first viewpoint.
        following: The acts after this one; none if the act goes on as long as it can.
    """
    walk, done = path[-1:], path[-1:]
    while len(walk) <= EDGE_RANGES[act.kind][1]:
        first_turn = turn if len(walk) == 1 else None
        ahead = facing if len(walk) == 1 else sight.heading(*walk[-2:])
        options = _online_steps(sight, act, walk, path, facing, first_turn, turn is not None)
        if not options:
            break
        best = min(
            options,
            key=lambda option: (-option[1], _bend(sight, act, option[0], ahead, first_turn)),
        )
        walk = best[0]
        if best[1] == _DONE:
            done = walk
            if act.kind not in OPEN_ENDED or _can_begin(sight, following, path + walk[1:]):
                return walk
    return done if len(done) > 1 else walk


def _can_begin(sight: Sight, acts: Sequence[Act], path: Walk) -> bool:
    """Return whether an agent without a map sees how to begin some acts at the end of a path."""
    turn, facing = None, sight.heading(*path[-2:])
    for act in acts:
        if act.kind in TURNS:
            turn = act
        elif act.kind in STATEMENTS:
            if not agrees(sight, act, path[-1:], facing):
                return False
            if act.kind == "stop":
                return True
        else:
            here = path[-1:]
            steps = _online_steps(sight, act, here, path, facing, turn, turn is not None)
            return any(level > _POSSIBLE for _, level in steps)
    return False


def _online_steps(
    sight: Sight,
    act: Act,
    walk: Walk,
    path: Walk,
    facing: float,
    turn: Act | None,
    is_turned: bool,
) -> list[tuple[Walk, int]]:
    """Return a walk with each next step that suits an act, and how well it does.

    Args:
        walk: Walk of this act so far.
        path: Path that includes the first viewpoint of the walk.
        facing: Heading in radians on arrival at the first viewpoint of the walk.
        turn: Turn that this step must take, or None.
        is_turned: Whether the first step of the walk takes a turn.
    """
    found = []
    for there in sight.neighbours[walk[-1]]:
        longer = (*walk, there)
        if there in walk or there in path:
            continue
        if turn and not fits_turn(sight, turn, longer, facing):
            continue
        if agrees(sight, act, longer, facing, is_turned):
            found.append((longer, _DONE))
        elif _may_continue(sight, act.kind, walk, there) and _stays_possible(sight, act, longer):
            found.append((longer, _IN_SIGHT if _shows(sight, act, longer) else _POSSIBLE))
    return found


def _stays_possible(sight: Sight, act: Act, walk: Walk) -> bool:
    """Return whether an act can still be completed after a walk, as far as the agent can see."""
    if act.kind in ("leave", "enter", "door", "through", "along", "end"):
        return sight.rooms[walk[-1]] == sight.rooms[walk[0]]
    if act.kind in ("past", "toward", "reach", "across"):
        return bool(things_in_front(sight, act, walk, IN_FRONT))
    return act.kind in ("up", "down")


def _shows(sight: Sight, act: Act, walk: Walk) -> bool:
    """Return whether the goal of an act is in sight in the direction of the last step of a walk."""
    survey, (here, there) = sight.survey, walk[-2:]
    if act.kind != "enter" or not act.room:
        return act.mention is not None
    areas = survey.areas[here, survey.view(here, there)]
    rooms = [
        room
        for room, kind in enumerate(survey.room_kinds)
        if kind == act.room and room != sight.rooms[here]
    ]
    within = np.isin(survey.object_rooms, rooms)
    if act.mention:
        within &= sight.fits(act.mention)
    return bool(areas[within].sum() >= NOTICED)


def _bend(sight: Sight, act: Act, walk: Walk, facing: float, turn: Act | None) -> float:
    """Return the degrees between the last step of a walk and the direction that an act suggests."""
    here, heading = walk[-2], sight.heading(*walk[-2:])
    if turn:
        size = {"turn": 90, "slight": 45, "around": 180}[turn.kind]
        wanted = -size if turn.side == "left" else size
        return abs((sight.relative(heading, facing) - wanted + 180) % 360 - 180)
    if act.kind == "door":
        doorway = sight.doorway(act.side, act.ordinal, walk[0], facing)
        if doorway >= 0:
            return abs(sight.angle(here, heading, doorway))
    if act.mention and act.kind != "enter":
        things = sight.referents(act.mention, walk[0], facing) or sight.referents(
            act.mention, walk[0], sight.heading(*walk[:2])
        )
        if things:
            return abs(sight.angle(here, heading, things[0]))
    return abs(sight.relative(heading, facing))


def _result(sight: Sight, states: dict[_State, Walk], is_complete: bool) -> FollowResult:
    path = min(states.values(), key=lambda path: (sight.length(path), path))
    ends = frozenset(state.viewpoint for state in states)
    return FollowResult(path, ends, is_complete)


def _outcomes(sight: Sight, act: Act, state: _State, path: Walk) -> Iterator[tuple[_State, Walk]]:
    """Yield the possible states after an act, each with the walk to it."""
    here = state.viewpoint
    if act.kind in TURNS:
        yield _State(here, state.facing, act), (here,)
    elif act.kind not in EDGE_RANGES:
        if agrees(sight, act, (here,), state.facing):
            yield state, (here,)
    else:
        for walk in fitting_walks(sight, act, path, state.facing, state.turn is not None):
            if fits_turn(sight, state.turn, walk, state.facing):
                yield _State(walk[-1], sight.heading(*walk[-2:])), walk


def fits_turn(sight: Sight, turn: Act | None, walk: Walk, facing: float) -> bool:
    """Return whether the first edge of a walk takes a turn; True if there is no turn."""
    heading = sight.heading(walk[0], walk[1])
    return turn is None or sight.leads_to(turn.kind, turn.side, heading, facing)


def fitting_walks(sight: Sight, act: Act, path: Walk, facing: float, is_turned: bool) -> list[Walk]:
    """Return the walks from the end of a path that an act is true of; none meets the path again.

    Args:
        facing: Heading in radians on arrival at the end of the path.
    """
    here, kind = path[-1], act.kind
    # Only these acts depend on the heading, "straight" only without a turn before it.
    needs_heading = kind == "door" or (kind == "straight" and not is_turned)
    key = (here, act, facing if needs_heading else None)
    if key not in sight.fitting_walks:  # the paths of a house visit the same viewpoints many times
        sight.fitting_walks[key] = [
            walk
            for walk in walks(sight, act, here, (here,))
            if agrees(sight, act, walk, facing, is_turned)
        ]
    visited = set(path)
    return [walk for walk in sight.fitting_walks[key] if visited.isdisjoint(walk[1:])]


def walks(sight: Sight, act: Act, start: int, path: Walk) -> Iterator[Walk]:
    """Yield the walks that an act can take, and some more; no viewpoint is visited twice."""
    fewest, most = EDGE_RANGES[act.kind]
    stack: list[Walk] = [(start,)]
    while stack:
        walk = stack.pop()
        if len(walk) > fewest:
            yield walk
        if len(walk) <= most:
            stack += [
                (*walk, there)
                for there in sight.neighbours[walk[-1]]
                if there not in walk
                and there not in path
                and _may_continue(sight, act.kind, walk, there)
                and can_begin(sight, act, (*walk, there))
            ]


def _may_continue(sight: Sight, kind: str, walk: Walk, there: int) -> bool:
    """Return whether a walk of an act can continue to a viewpoint: on stairs, or in its room."""
    if kind in ("up", "down"):
        return sight.is_stair(walk[-1], there, 1 if kind == "up" else -1)
    room = sight.rooms[walk[0]]
    if kind in ("through", "along", "end"):
        return sight.rooms[there] == room
    return kind not in ("leave", "enter", "door") or sight.rooms[walk[-1]] == room
