"""Plan R2R-style instructions for a path, and check that they describe no other goal.

A plan is a list of clauses based on the ground truth of the survey: rooms to leave and enter,
landmarks that identify the direction, and a landmark that identifies the goal. `decisions` adds
clauses at ambiguous steps, and `r2r_realiser` writes the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.instructions.decisions import (
    add_guidance,
    counts_as_entering,
    room_matches,
)
from clipnav.envs.houses.language.r2r_realiser import realise_clauses, sort_clauses
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.clauses import Clause, Instruction
from clipnav.envs.houses.survey.landmarks import NOTICED, Landmark, references
from clipnav.envs.houses.survey.routes import Routes, flights
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.houses.survey.waymarks import choose_waymarks, draw, waymark_options
from clipnav.envs.metrics import SUCCESS_THRESHOLD

ATTEMPTS = 24
# Number of landmarks (low, high) on the path that each of its three instructions mentions, in
# addition to those that resolve ambiguous steps.
LANDMARKS_ON_THE_WAY = ((0, 0), (0, 1), (1, 2))


@dataclass(frozen=True)
class RoomVisit:
    """Consecutive viewpoints of a path in one room, from position `first` to `last`."""

    room: int
    first: int
    last: int


def write_instructions(
    survey: Survey, routes: Routes, path: tuple[int, ...], rng: np.random.Generator
) -> list[Instruction]:
    """Write three different instructions for a path."""
    goal_landmarks = _goal_landmarks(survey, path[-1], rng)
    written: list[Instruction] = []
    if not goal_landmarks:
        return written
    waymarks = waymark_options(survey, path, rng)
    for low, high in LANDMARKS_ON_THE_WAY:
        for _ in range(ATTEMPTS):
            goal = draw(goal_landmarks, rng)
            chosen = choose_waymarks(waymarks, {goal.noun}, int(rng.integers(low, high + 1)), rng)
            clauses = plan_clauses(survey, path, goal, chosen, rng)
            clauses = add_guidance(survey, routes, path, clauses, waymarks, rng)
            if not is_unambiguous(survey, routes, path, clauses):
                continue
            instruction = realise_clauses(clauses, rng)
            if instruction.text not in [earlier.text for earlier in written]:
                written.append(instruction)
                break
        else:
            return []
    return written


def plan_clauses(
    survey: Survey,
    path: tuple[int, ...],
    goal: Landmark,
    waymarks: list[Clause],
    rng: np.random.Generator,
) -> list[Clause]:
    """Plan one instruction."""
    visits = list(room_visits(survey, path))
    mentioned = {goal.noun} | {clause.landmark.noun for clause in waymarks if clause.landmark}
    clauses = waymarks + _room_clauses(survey, path, visits, mentioned, rng)
    clauses += [Clause(kind, first, last) for kind, first, last in flights(survey, path)]
    goal_kind = survey.room_kinds[visits[-1].room]
    is_mentioned = any(
        clause.kind in ("enter", "through") and clause.room == goal_kind for clause in clauses
    )
    room = "" if is_mentioned and rng.random() < 0.85 else goal_kind
    return [*sort_clauses(clauses), Clause("stop", len(path) - 1, len(path) - 1, room, goal)]


def room_visits(survey: Survey, path: tuple[int, ...]) -> Iterator[RoomVisit]:
    """Yield the rooms along a path, in order."""
    first = 0
    for step in range(1, len(path) + 1):
        if step == len(path) or survey.rooms[path[step]] != survey.rooms[path[first]]:
            yield RoomVisit(int(survey.rooms[path[first]]), first, step - 1)
            first = step


def is_unambiguous(
    survey: Survey, routes: Routes, path: tuple[int, ...], clauses: list[Clause]
) -> bool:
    """Return whether a plan fits no goal more than 3 m from the end of its path.

    A plan fits a shortest path from the same start if the path takes the mentioned stairs, visits
    the mentioned rooms in order, ends in a room of the kind that the last clause mentions, and ends
    near an object that the last landmark can refer to.
    """
    goal = path[-1]
    for other in routes.from_start(path[0]):
        if routes.lengths[goal, other[-1]] > SUCCESS_THRESHOLD and _fits(survey, other, clauses):
            return False
    return True


def _fits(survey: Survey, path: tuple[int, ...], clauses: list[Clause]) -> bool:
    """Return whether a path agrees with the rooms, stairs and goal of a plan."""
    stop = clauses[-1]
    goal = path[-1]
    if stop.landmark is None or (stop.room and survey.room_kind(goal) != stop.room):
        return False
    if not (stop.landmark.matches(survey) & survey.near(goal)).any():
        return False
    climbed = [clause.kind for clause in clauses if clause.kind in ("up", "down")]
    if climbed != [kind for kind, _, _ in flights(survey, path)]:
        return False
    return _has_rooms([visit.room for visit in room_visits(survey, path)], survey, clauses)


def _has_rooms(rooms: Sequence[int], survey: Survey, clauses: list[Clause]) -> bool:
    """Return whether a path visits the rooms of the clauses in their order."""
    here = 0  # position in `rooms` of the last room that a clause matched
    for clause in clauses[:-1]:
        if clause.kind not in ("leave", "enter", "through"):
            continue
        # A room can be entered and then walked through; the first room is not entered.
        first = here + (clause.kind == "enter")
        fitting = (n for n in range(first, len(rooms)) if room_matches(survey, rooms[n], clause))
        here = next(fitting, -1)
        if here < 0:
            return False
    return True


def _goal_landmarks(
    survey: Survey, goal: int, rng: np.random.Generator
) -> list[tuple[Landmark, float]]:
    """Return landmarks that identify the goal within its room, with weights.

    They are near the goal, and not much nearer to any other viewpoint of the room.
    """
    roommates = np.flatnonzero(survey.rooms == survey.rooms[goal])
    nearest = survey.gaps[roommates].min(axis=0)
    fits = survey.near(goal) & (survey.areas[goal].max(axis=0) >= 2 * NOTICED)
    fits &= survey.gaps[goal] <= nearest + 0.4
    landmarks = []
    for thing in np.flatnonzero(fits).tolist():
        for landmark, weight in references(survey, goal, [thing], rng):
            if len(landmark.things) == 1:
                landmarks.append((landmark, weight / (0.5 + survey.gaps[goal, thing])))
    return landmarks


def _room_clauses(
    survey: Survey,
    path: tuple[int, ...],
    visits: list[RoomVisit],
    mentioned: set[str],
    rng: np.random.Generator,
) -> list[Clause]:
    """Return the clauses about rooms: always the goal's room, most of the rooms before it."""
    clauses = []
    for number, visit in enumerate(visits):
        kind = survey.room_kinds[visit.room]
        is_last = number == len(visits) - 1
        is_stairs = kind == STAIRWELL  # also if the path starts on the stairs
        if is_stairs or (
            number and not counts_as_entering(survey, visits[number - 1].room, visit.room)
        ):
            continue
        if number == 0 and not is_last:
            # People rarely say "leave the hallway".
            if rng.random() < (0.25 if kind == "hallway" else 0.85):
                clauses.append(Clause("leave", visit.last, visit.last + 1, kind))
        elif is_last and number > 0:
            detail = _room_detail(survey, path[visit.first - 1], visit.room, mentioned, rng)
            clauses.append(Clause("enter", visit.first - 1, visit.first, kind, detail))
        elif visit.last > visit.first and (kind == "hallway" or rng.random() < 0.6):
            if number == 0 or rng.random() < 0.7:
                clauses.append(Clause("through", visit.first, visit.last, kind))
        elif number > 0 and rng.random() < (0.35 if kind == "hallway" else 0.9):
            clauses.append(Clause("enter", visit.first - 1, visit.first, kind))
    return clauses


def _room_detail(
    survey: Survey, door: int, room: int, mentioned: set[str], rng: np.random.Generator
) -> Landmark | None:
    """Return a landmark visible from the door, which distinguishes a room from others like it."""
    is_only = survey.room_kinds.count(survey.room_kinds[room]) == 1
    if is_only and rng.random() < 0.85:
        return None
    things = [
        thing.index
        for thing in survey.objects
        if thing.room == room and survey.areas[door, :, thing.index].max() >= NOTICED
    ]
    options = [
        (landmark, weight)
        for landmark, weight in references(survey, door, things, rng)
        if landmark.noun not in mentioned and (landmark.colour or is_only)
    ]
    return draw(options, rng) if options else None
