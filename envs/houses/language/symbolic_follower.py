"""Follow parsed instructions with ground-truth visibility, to check that they can be followed.

`follow` keeps all interpretations of an instruction: the states that are possible after each act,
and the walk with the fewest viewpoints to each of them. An instruction is unambiguous if all
interpretations end at the same viewpoint. An agent that walks while it reads cannot use later acts
to choose between interpretations; `follow_without_lookahead` simulates it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.language.acts import EDGE_RANGES, TURNS, Act
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.walking import Walk, agrees

MAX_STATES = 400  # largest number of interpretations; those with the fewest viewpoints are kept


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
        ranked = sorted(after.items(), key=lambda item: len(item[1]))[:MAX_STATES]
        states = dict(ranked)
    return _result(sight, states, True)


def follow_without_lookahead(
    sight: Sight, acts: Sequence[Act], start: int, heading: float, rng: np.random.Generator
) -> Walk:
    """Follow acts one after another: take a random walk among those that fit each act.

    Args:
        heading: Heading at the start: radians clockwise from +y.
    """
    state, path = _State(start, heading), (start,)
    for act in acts:
        outcomes = list(_outcomes(sight, act, state, path))
        if not outcomes:
            break
        state, walk = outcomes[rng.integers(len(outcomes))]
        path += walk[1:]
    return path


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
        for walk in walks(sight, act.kind, here, path):
            if fits_turn(sight, state.turn, walk, state.facing) and agrees(
                sight, act, walk, state.facing, state.turn is not None
            ):
                yield _State(walk[-1], sight.heading(*walk[-2:])), walk


def fits_turn(sight: Sight, turn: Act | None, walk: Walk, facing: float) -> bool:
    """Return whether the first edge of a walk takes a turn; True if there is no turn."""
    heading = sight.heading(walk[0], walk[1])
    return turn is None or sight.leads_to(turn.kind, turn.side, heading, facing)


def walks(sight: Sight, kind: str, start: int, path: Walk) -> Iterator[Walk]:
    """Yield the walks that an act of a kind can take; no viewpoint is visited twice."""
    fewest, most = EDGE_RANGES[kind]
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
                and _may_continue(sight, kind, walk, there)
            ]


def _may_continue(sight: Sight, kind: str, walk: Walk, there: int) -> bool:
    """Return whether a walk of an act can continue to a viewpoint: on stairs, or in its room."""
    if kind in ("up", "down"):
        return sight.is_stair(walk[-1], there, 1 if kind == "up" else -1)
    room = sight.rooms[walk[0]]
    if kind in ("through", "along", "end"):
        return sight.rooms[there] == room
    return kind not in ("leave", "enter", "door") or sight.rooms[walk[-1]] == room
