"""Find the viewpoints where a plan is ambiguous, and add clauses that resolve the ambiguity.

Human annotators mention the direction where several are possible. Without a clause, a follower
continues straight ahead. At every other step, a clause should distinguish the next viewpoint from
the other neighbours: a room to enter, a visible landmark or a turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipnav.envs.graphs import wrap_angle
from clipnav.envs.houses.language.r2r_realiser import sort_clauses
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.plan.room_layout import HALL_KINDS
from clipnav.envs.houses.survey.clauses import Clause
from clipnav.envs.houses.survey.routes import Routes
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.houses.survey.waymarks import draw

SAME_DIRECTION = np.radians(40)  # two steps within a room at a smaller angle are equivalent
AHEAD = np.radians(45)  # largest turn of a follower without a clause
SLIGHT_TURN, SHARP_TURN = np.radians(40), np.radians(150)  # range of "turn left"
DETOUR = 0.5  # metres; a route that is longer by less is equally good
# Weight of each kind of clause. Visible things are preferred to turns.
_KIND_WEIGHTS = {"enter": 2.0, "turn": 1.0, "waymark": 2.0}


def add_guidance(
    survey: Survey,
    routes: Routes,
    path: tuple[int, ...],
    clauses: Sequence[Clause],
    waymarks: Sequence[tuple[Clause, float]],
    rng: np.random.Generator,
) -> list[Clause]:
    """Add the clauses that a follower needs at ambiguous steps."""
    plan = list(clauses)
    for step in range(len(path) - 1):
        while before := len(rival_neighbours(survey, routes, path, step, plan)):
            options = []
            for clause, weight in _additions(survey, path, step, plan, waymarks):
                after = len(rival_neighbours(survey, routes, path, step, [clause, *plan]))
                if after < before:
                    options.append((clause, weight * (before - after) ** 2))
            if not options:
                break
            plan = sort_clauses([*plan, draw(options, rng)])
    return plan


def rival_neighbours(
    survey: Survey, routes: Routes, path: tuple[int, ...], step: int, clauses: Sequence[Clause]
) -> list[int]:
    """Return the neighbours that fit a plan as well as the next viewpoint."""
    here, there, goal = path[step], path[step + 1], path[-1]
    current = [
        clause for clause in clauses if clause.first <= step < max(clause.last, clause.first + 1)
    ]
    rivals = []
    for other in np.flatnonzero(survey.edges[here]).tolist():
        detour = routes.lengths[here, other] + routes.lengths[other, goal]
        if other in path or detour - routes.lengths[here, goal] < DETOUR:
            continue
        apart = abs(wrap_angle(survey.heading(here, other) - survey.heading(here, there)))
        is_equivalent = apart < SAME_DIRECTION and survey.rooms[other] == survey.rooms[there]
        if not is_equivalent and not _is_ruled_out(survey, path, step, other, current):
            rivals.append(other)
    return rivals


def room_matches(survey: Survey, room: int, clause: Clause) -> bool:
    """Return whether a room has the kind that a clause mentions, and its landmark if any."""
    if survey.room_kinds[room] != clause.room:
        return False
    if clause.kind != "enter" or clause.landmark is None:
        return True
    return bool((clause.landmark.matches(survey) & (survey.object_rooms == room)).any())


def counts_as_entering(survey: Survey, before: int, room: int) -> bool:
    """Return whether a step from room `before` into `room` is described as entering the room."""
    kind = survey.room_kinds[room]
    if before == room or kind == STAIRWELL:  # "go up the stairs" implies it
        return False
    # A walker perceives the arms of a bent hallway as one room.
    return kind not in HALL_KINDS or survey.room_kinds[before] != kind


def turn_angle(survey: Survey, path: tuple[int, ...], step: int) -> float:
    """Return the turn of a path at a position after the first, in radians; right is positive."""
    before = survey.heading(path[step - 1], path[step])
    return wrap_angle(survey.heading(path[step], path[step + 1]) - before)


def _is_ruled_out(
    survey: Survey, path: tuple[int, ...], step: int, other: int, current: Sequence[Clause]
) -> bool:
    """Return whether a clause of the current step does not fit another neighbour."""
    here = path[step]
    room = int(survey.rooms[other])
    for clause in current:
        if clause.kind == "leave" and step == clause.last - 1 and room == survey.rooms[here]:
            return True
        if clause.kind in ("enter", "through") and not room_matches(survey, room, clause):
            return True
        if clause.kind in ("up", "down") and not survey.climb(here, other):
            return True
        if clause.first == step and _points_elsewhere(survey, path, step, other, clause):
            return True
    if step == 0 or any(clause.first == step and clause.kind == "turn" for clause in current):
        return False
    taken, rival = (
        turn_angle(survey, path, step),
        turn_angle(survey, (*path[: step + 1], other), step),
    )
    return abs(taken) < AHEAD and abs(rival) > abs(taken) + SAME_DIRECTION / 2


def _points_elsewhere(
    survey: Survey, path: tuple[int, ...], step: int, other: int, clause: Clause
) -> bool:
    """Return whether a turn or landmark of a clause is not in the direction of a neighbour."""
    here = path[step]
    if clause.kind == "turn":
        rival = turn_angle(survey, (*path[: step + 1], other), step)
        side = 1 if clause.side == "right" else -1
        return not SLIGHT_TURN <= side * rival <= SHARP_TURN
    if clause.kind not in ("past", "across", "toward") or clause.landmark is None:
        return False
    shown = survey.areas[here][:, clause.landmark.matches(survey)].sum(axis=1)  # (12,)
    return bool(shown[survey.view(here, other)] < shown[survey.view(here, path[step + 1])] / 2)


def _additions(
    survey: Survey,
    path: tuple[int, ...],
    step: int,
    plan: Sequence[Clause],
    waymarks: Sequence[tuple[Clause, float]],
) -> list[tuple[Clause, float]]:
    """Return clauses that can be added at a step, with weights.

    The weights of all clauses of one kind add up to the weight of the kind.
    """
    here, there = path[step], path[step + 1]
    nouns = {clause.landmark.noun for clause in plan if clause.landmark}
    kinds = {clause.kind for clause in plan if clause.first == step}
    additions: list[tuple[Clause, float]] = []
    is_new = counts_as_entering(survey, survey.rooms[here], survey.rooms[there])
    if is_new and not kinds & {"enter", "up", "down"}:
        enter = Clause("enter", step, step + 1, survey.room_kind(there))
        additions.append((enter, _KIND_WEIGHTS["enter"]))
    # The initial heading is random, so that a turn has a meaning only after a walk.
    if step and "turn" not in kinds and any(clause.first < step for clause in plan):
        turn = turn_angle(survey, path, step)
        if SLIGHT_TURN <= abs(turn) <= SHARP_TURN:
            side = "right" if turn > 0 else "left"
            additions.append((Clause("turn", step, step, side=side), _KIND_WEIGHTS["turn"]))
    if not kinds & {"past", "across", "toward"}:
        unused = [
            (clause, weight)
            for clause, weight in waymarks
            if clause.first == step and clause.landmark and clause.landmark.noun not in nouns
        ]
        total = sum(weight for _, weight in unused)
        additions += [
            (clause, _KIND_WEIGHTS["waymark"] * weight / total) for clause, weight in unused
        ]
    return additions
