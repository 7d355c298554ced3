"""What a plan can say of places: what one sees there, in which room one is, where to stop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from envs.houses.language.acts import Act, Step
from envs.houses.language.grammar import Language
from envs.houses.language.mentions import ways_to_mention
from envs.houses.language.sight import Sight
from envs.houses.language.walking import Walk
from envs.houses.survey.waymarks import draw


def statements(
    sight: Sight, language: Language, path: Walk, position: int, facing: float
) -> Iterator[tuple[Step, float]]:
    """What could be said of a place on the way: the room, or a thing on one side, with weights.

    Args:
        sight: The house.
        language: What its lexicon lacks is not mentioned.
        path: Viewpoints from start to goal.
        position: In the path; the first one is described more fully.
        facing: Heading in radians on arrival.
    """
    here = path[position]
    room = sight.room_kind(here)
    is_start = position == 0
    is_new = is_start or sight.survey.rooms[here] != sight.survey.rooms[path[position - 1]]
    if is_new and room in language.rooms:
        yield Step(Act("at", room), position, position), 1.0
    for thing in np.flatnonzero(sight.noticed[here]).tolist():
        side = _clear_side(sight, here, facing, thing, is_start)
        if not side:
            continue
        for mention, weight in ways_to_mention(sight, language, here, facing, thing):
            if mention.ordinal:
                continue
            things = tuple(sight.meant(mention, here, facing)) if mention.plural else (thing,)
            if side != "behind":
                act = Act("see", mention=mention, side=side)
                yield Step(act, position, position, things), weight
            if is_start and room in language.rooms:
                act = Act("at", room, mention, side)
                yield Step(act, position, position, things), 2.0 * weight


def _clear_side(sight: Sight, here: int, facing: float, thing: int, is_start: bool) -> str:
    """The side on which a thing clearly lies, "" between two sides; behind is said at the start."""
    angle = sight.angle(here, facing, thing)
    if abs(angle) <= 30:
        return "ahead"
    if 45 <= abs(angle) <= 130:
        return "right" if angle > 0 else "left"
    return "behind" if is_start and abs(angle) >= 150 else ""


def stop_step(
    sight: Sight, language: Language, path: Walk, facing: float, rng: np.random.Generator
) -> Step | None:
    """The end of an instruction: a thing that pins the goal; None if none is near.

    Args:
        sight: The house.
        language: What its lexicon lacks is not mentioned.
        path: Viewpoints from start to goal.
        facing: Heading in radians on arrival.
        rng: Source of all choices.
    """
    goal, last = path[-1], len(path) - 1
    room = sight.room_kind(goal)
    pins: list[tuple[Step, float]] = []
    for thing in np.flatnonzero(sight.survey.near(goal) & sight.noticed[goal]).tolist():
        for mention, weight in ways_to_mention(sight, language, goal, facing, thing):
            if mention.ordinal or mention.plural:
                continue
            weight /= 0.5 + float(sight.survey.gaps[goal, thing])
            pins.append((Step(Act("stop", mention=mention), last, last, (thing,)), weight))
            if room in language.rooms:
                act = Act("stop", room, mention)
                pins.append((Step(act, last, last, (thing,)), 0.4 * weight))
    return draw(pins, rng) if pins else None
