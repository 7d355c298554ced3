"""Where one who follows the words of a plan might leave its path, and what is said there.

People who write instructions say which way to go where several ways lie open. A walker who is told
nothing goes on ahead; at every other step something should tell the way taken from those that are
not: a room that it leads into, something that shows there, or a turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.houses.language.realiser import in_order
from envs.houses.plan.elements import STAIRWELL
from envs.houses.plan.room_layout import HALL_KINDS
from envs.houses.survey.clauses import Clause
from envs.houses.survey.routes import Routes
from envs.houses.survey.visibility import Survey
from envs.houses.survey.waymarks import draw, turned

SAME_WAY = np.radians(40)  # between two steps within a room that one would not tell apart
AHEAD = np.radians(45)  # one who is told nothing goes on within this angle
SLIGHT_TURN, SHARP_TURN = np.radians(40), np.radians(150)  # what "turn left" may mean
DETOUR = 0.5  # metres; a way that is longer by less is as good
# How readily each kind of clause is chosen where several would do: what is seen, before turns.
_READINESS = {"enter": 2.0, "turn": 1.0, "waymark": 2.0}


def guided(
    survey: Survey,
    routes: Routes,
    path: tuple[int, ...],
    clauses: Sequence[Clause],
    waymarks: Sequence[tuple[Clause, float]],
    rng: np.random.Generator,
) -> list[Clause]:
    """Adds to a plan what its walker would have to know and is not told.

    Args:
        survey: The house.
        routes: Its shortest paths.
        path: Viewpoints from start to goal.
        clauses: The plan; its last clause is the stop.
        waymarks: What could be mentioned on the way, with weights.
        rng: Source of all choices.

    Returns:
        The plan with more clauses, in the order of the path. Steps that nothing tells apart stay.
    """
    plan = list(clauses)
    for step in range(len(path) - 1):
        while before := len(open_ways(survey, routes, path, step, plan)):
            options = []
            for clause, weight in _additions(survey, path, step, plan, waymarks):
                left = len(open_ways(survey, routes, path, step, [clause, *plan]))
                if left < before:
                    options.append((clause, weight * (before - left) ** 2))
            if not options:
                break
            plan = in_order([*plan, draw(options, rng)])
    return plan


def open_ways(
    survey: Survey, routes: Routes, path: tuple[int, ...], step: int, clauses: Sequence[Clause]
) -> list[int]:
    """Neighbours to which the words of a plan might lead in place of the next viewpoint.

    Args:
        survey: The house.
        routes: Its shortest paths.
        path: Viewpoints from start to goal.
        step: Position in the path.
        clauses: The plan.

    Returns:
        Viewpoints that are a detour, that lie another way, and that nothing said at this step
        tells from the right one.
    """
    here, there, goal = path[step], path[step + 1], path[-1]
    told = [one for one in clauses if one.first <= step < max(one.last, one.first + 1)]
    found = []
    for other in np.flatnonzero(survey.edges[here]).tolist():
        detour = routes.lengths[here, other] + routes.lengths[other, goal]
        if other in path or detour - routes.lengths[here, goal] < DETOUR:
            continue
        apart = abs(turned(survey.heading(here, other) - survey.heading(here, there)))
        is_alike = apart < SAME_WAY and survey.rooms[other] == survey.rooms[there]
        if not is_alike and not _is_ruled_out(survey, path, step, other, told):
            found.append(other)
    return found


def is_room(survey: Survey, room: int, clause: Clause) -> bool:
    """Whether a room is of the kind that a clause names, and has what marks it."""
    if survey.room_kinds[room] != clause.room:
        return False
    if clause.kind != "enter" or clause.landmark is None:
        return True
    return bool((clause.landmark.matches(survey) & (survey.object_rooms == room)).any())


def enters(survey: Survey, before: int, room: int) -> bool:
    """Whether one would say that a step from one room into another enters it."""
    kind = survey.room_kinds[room]
    if before == room or kind == STAIRWELL:  # "go up the stairs" says it
        return False
    # The arms of a bent hallway are one to a walker.
    return kind not in HALL_KINDS or survey.room_kinds[before] != kind


def turn_of(survey: Survey, path: tuple[int, ...], step: int) -> float:
    """Angle in radians by which a path turns at a position after its first; right is positive."""
    before = survey.heading(path[step - 1], path[step])
    return turned(survey.heading(path[step], path[step + 1]) - before)


def _is_ruled_out(
    survey: Survey, path: tuple[int, ...], step: int, other: int, told: Sequence[Clause]
) -> bool:
    """Whether something that is said at a step does not fit another neighbour."""
    here = path[step]
    room = int(survey.rooms[other])
    for clause in told:
        if clause.kind == "leave" and step == clause.last - 1 and room == survey.rooms[here]:
            return True
        if clause.kind in ("enter", "through") and not is_room(survey, room, clause):
            return True
        if clause.kind in ("up", "down") and not survey.climb(here, other):
            return True
        if clause.first == step and _points_elsewhere(survey, path, step, other, clause):
            return True
    if step == 0 or any(clause.first == step and clause.kind == "turn" for clause in told):
        return False
    taken, rival = turn_of(survey, path, step), turn_of(survey, (*path[: step + 1], other), step)
    return abs(taken) < AHEAD and abs(rival) > abs(taken) + SAME_WAY / 2


def _points_elsewhere(
    survey: Survey, path: tuple[int, ...], step: int, other: int, clause: Clause
) -> bool:
    """Whether a turn, or something to pass or make for, is not where another neighbour lies."""
    here = path[step]
    if clause.kind == "turn":
        rival = turn_of(survey, (*path[: step + 1], other), step)
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
    """What could be said at a step and is not, with weights that add up by kind."""
    here, there = path[step], path[step + 1]
    nouns = {one.landmark.noun for one in plan if one.landmark}
    kinds = {one.kind for one in plan if one.first == step}
    found: list[tuple[Clause, float]] = []
    is_new = enters(survey, survey.rooms[here], survey.rooms[there])
    if is_new and not kinds & {"enter", "up", "down"}:
        enter = Clause("enter", step, step + 1, survey.room_kind(there))
        found.append((enter, _READINESS["enter"]))
    # Where one faces at first is chance, so that a turn means something only after a walk.
    if step and "turn" not in kinds and any(one.first < step for one in plan):
        turn = turn_of(survey, path, step)
        if SLIGHT_TURN <= abs(turn) <= SHARP_TURN:
            side = "right" if turn > 0 else "left"
            found.append((Clause("turn", step, step, side=side), _READINESS["turn"]))
    if not kinds & {"past", "across", "toward"}:
        fresh = [
            (clause, weight)
            for clause, weight in waymarks
            if clause.first == step and clause.landmark and clause.landmark.noun not in nouns
        ]
        total = sum(weight for _, weight in fresh)
        found += [(clause, _READINESS["waymark"] * weight / total) for clause, weight in fresh]
    return found
