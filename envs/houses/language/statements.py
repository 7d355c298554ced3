"""Statements about viewpoints: the room, visible objects, and where to stop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from clipnav.envs.houses.language.acts import Act, PlannedAct
from clipnav.envs.houses.language.annotators import Writer, draw
from clipnav.envs.houses.language.mentions import mention_options
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.walking import Walk
from clipnav.envs.houses.plan.elements import STAIRWELL


def statements(
    sight: Sight, path: Walk, position: int, facing: float
) -> Iterator[tuple[PlannedAct, float]]:
    """Yield statements about a viewpoint: its room, or an object on one side, with weights.

    Args:
        facing: Heading in radians on arrival.
    """
    here = path[position]
    room = sight.room_kind(here)
    is_start = position == 0
    is_new = is_start or sight.survey.rooms[here] != sight.survey.rooms[path[position - 1]]
    if is_new:
        yield PlannedAct(Act("at", room), position, position), 1.0
    for thing in sight.things[here]:
        side = _clear_side(sight, here, facing, thing, is_start)
        if not side:
            continue
        for mention, weight in mention_options(sight, here, facing, thing):
            if mention.ordinal:
                continue
            things = tuple(sight.referents(mention, here, facing)) if mention.plural else (thing,)
            if side != "behind":
                act = Act("see", mention=mention, side=side)
                yield PlannedAct(act, position, position, things), weight
            if is_start:
                act = Act("at", room, mention, side)
                yield PlannedAct(act, position, position, things), 2.0 * weight


def _clear_side(sight: Sight, here: int, facing: float, thing: int, is_start: bool) -> str:
    """Return the side of an object, or "" between two sides; "behind" only at the start."""
    angle = sight.angle(here, facing, thing)
    if abs(angle) <= 30:
        return "ahead"
    if 45 <= abs(angle) <= 130:
        return "right" if angle > 0 else "left"
    return "behind" if is_start and abs(angle) >= 150 else ""


def stop_step(sight: Sight, path: Walk, facing: float, writer: Writer) -> PlannedAct | None:
    """Return the "stop" act with an object that identifies the goal; None if none is near.

    Args:
        facing: Heading in radians on arrival.
    """
    goal, last = path[-1], len(path) - 1
    room = sight.room_kind(goal)
    options: list[tuple[PlannedAct, float]] = []
    for thing in np.flatnonzero(sight.survey.near(goal) & sight.noticed[goal]).tolist():
        for mention, weight in mention_options(sight, goal, facing, thing):
            if mention.ordinal or mention.plural:
                continue
            if mention.colour:
                weight *= writer.habits.colours
            weight /= 0.5 + float(sight.survey.gaps[goal, thing])
            options.append((PlannedAct(Act("stop", mention=mention), last, last, (thing,)), weight))
            act = Act("stop", room, mention)
            options.append((PlannedAct(act, last, last, (thing,)), 0.4 * weight))
    if not options and room == STAIRWELL:
        return PlannedAct(Act("stop", room), last, last)
    return draw(options, writer.rng) if options else None
