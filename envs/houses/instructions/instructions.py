"""Plans what an instruction says about a path, and checks that it means no other goal.

The plan is a list of clauses on the survey's ground truth: rooms left and entered, landmarks that
single out the way, and a landmark that pins the goal; `decisions` adds what would still leave a way
open, and `realiser` puts it into words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from envs.houses.instructions.decisions import enters, guided, is_room
from envs.houses.language.realiser import in_order, realise
from envs.houses.plan.elements import STAIRWELL
from envs.houses.survey.clauses import Clause, Instruction
from envs.houses.survey.landmarks import NOTICED, Landmark, references
from envs.houses.survey.routes import Routes, flights
from envs.houses.survey.visibility import Survey
from envs.houses.survey.waymarks import choose_waymarks, draw, waymark_options
from envs.metrics import SUCCESS_THRESHOLD

ATTEMPTS = 24
# How many landmarks each of the three instructions of a path mentions on the way (low, high) beside
# those that tell where to go.
LANDMARKS_ON_THE_WAY = ((0, 0), (0, 1), (1, 2))


@dataclass(frozen=True)
class Visit:
    """An unbroken stay of a path in one room, from its `first` to its `last` viewpoint."""

    room: int
    first: int
    last: int


def write_instructions(
    survey: Survey, routes: Routes, path: tuple[int, ...], rng: np.random.Generator
) -> list[Instruction]:
    """Writes three different instructions for a path.

    Returns:
        Three instructions, or none if too few were found that mean this goal alone.
    """
    pins = _goal_pins(survey, path[-1], rng)
    written: list[Instruction] = []
    if not pins:
        return written
    waymarks = waymark_options(survey, path, rng)
    for low, high in LANDMARKS_ON_THE_WAY:
        for _ in range(ATTEMPTS):
            pin = draw(pins, rng)
            chosen = choose_waymarks(waymarks, {pin.noun}, int(rng.integers(low, high + 1)), rng)
            clauses = plan_clauses(survey, path, pin, chosen, rng)
            clauses = guided(survey, routes, path, clauses, waymarks, rng)
            if not means_only(survey, routes, path, clauses):
                continue
            instruction = realise(clauses, rng)
            if instruction.text not in [one.text for one in written]:
                written.append(instruction)
                break
        else:
            return []
    return written


def plan_clauses(
    survey: Survey,
    path: tuple[int, ...],
    pin: Landmark,
    waymarks: list[Clause],
    rng: np.random.Generator,
) -> list[Clause]:
    """Plans one instruction.

    Args:
        survey: The house.
        path: Viewpoints from start to goal.
        pin: The landmark at the goal.
        waymarks: What to mention on the way.
        rng: Source of all choices.
    """
    visits = list(room_visits(survey, path))
    spoken = {pin.noun} | {one.landmark.noun for one in waymarks if one.landmark}
    clauses = waymarks + _room_clauses(survey, path, visits, spoken, rng)
    clauses += [Clause(kind, first, last) for kind, first, last in flights(survey, path)]
    goal_kind = survey.room_kinds[visits[-1].room]
    is_said = any(one.kind in ("enter", "through") and one.room == goal_kind for one in clauses)
    room = "" if is_said and rng.random() < 0.85 else goal_kind
    return [*in_order(clauses), Clause("stop", len(path) - 1, len(path) - 1, room, pin)]


def room_visits(survey: Survey, path: tuple[int, ...]) -> Iterator[Visit]:
    """The rooms along a path, in order."""
    first = 0
    for step in range(1, len(path) + 1):
        if step == len(path) or survey.rooms[path[step]] != survey.rooms[path[first]]:
            yield Visit(int(survey.rooms[path[first]]), first, step - 1)
            first = step


def means_only(
    survey: Survey, routes: Routes, path: tuple[int, ...], clauses: list[Clause]
) -> bool:
    """Whether no goal but those within 3 m of the path's end fits the words equally well.

    A shortest path from the same start fits if it takes the mentioned stairs, visits the mentioned
    rooms in order, ends in a room of the goal's kind if the last clause names it, and ends near
    something that the last landmark's words fit.
    """
    goal = path[-1]
    for other in routes.from_start(path[0]):
        if routes.lengths[goal, other[-1]] > SUCCESS_THRESHOLD and _fits(survey, other, clauses):
            return False
    return True


def _fits(survey: Survey, path: tuple[int, ...], clauses: list[Clause]) -> bool:
    """Whether a path agrees with what a plan says about rooms and about the goal."""
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
    """Whether the rooms that one comes to are those that clauses name, in their order."""
    here = 0  # position in `rooms` of the one that was named last
    for clause in clauses[:-1]:
        if clause.kind not in ("leave", "enter", "through"):
            continue
        # One may enter a room and go through it, but one is in the first without entering.
        first = here + (clause.kind == "enter")
        fitting = (n for n in range(first, len(rooms)) if is_room(survey, rooms[n], clause))
        here = next(fitting, -1)
        if here < 0:
            return False
    return True


def _goal_pins(survey: Survey, goal: int, rng: np.random.Generator) -> list[tuple[Landmark, float]]:
    """Landmarks that tell one where in the goal's room to stop, with weights.

    They must stand near the goal and hardly nearer to any other viewpoint.
    """
    roommates = np.flatnonzero(survey.rooms == survey.rooms[goal])
    nearest = survey.gaps[roommates].min(axis=0)
    fits = survey.near(goal) & (survey.areas[goal].max(axis=0) >= 2 * NOTICED)
    fits &= survey.gaps[goal] <= nearest + 0.4
    pins = []
    for thing in np.flatnonzero(fits).tolist():
        for landmark, weight in references(survey, goal, [thing], rng):
            if len(landmark.things) == 1:
                pins.append((landmark, weight / (0.5 + survey.gaps[goal, thing])))
    return pins


def _room_clauses(
    survey: Survey,
    path: tuple[int, ...],
    visits: list[Visit],
    spoken: set[str],
    rng: np.random.Generator,
) -> list[Clause]:
    """What is said about rooms: the goal's room always, those before it mostly."""
    clauses = []
    for number, visit in enumerate(visits):
        kind = survey.room_kinds[visit.room]
        is_last = number == len(visits) - 1
        is_stairs = kind == STAIRWELL  # also where a path starts on them
        if is_stairs or (number and not enters(survey, visits[number - 1].room, visit.room)):
            continue
        if number == 0 and not is_last:
            # One hardly says "leave the hallway": it is where the way goes on.
            if rng.random() < (0.25 if kind == "hallway" else 0.85):
                clauses.append(Clause("leave", visit.last, visit.last + 1, kind))
        elif is_last and number > 0:
            detail = _room_detail(survey, path[visit.first - 1], visit.room, spoken, rng)
            clauses.append(Clause("enter", visit.first - 1, visit.first, kind, detail))
        elif visit.last > visit.first and (kind == "hallway" or rng.random() < 0.6):
            if number == 0 or rng.random() < 0.7:
                clauses.append(Clause("through", visit.first, visit.last, kind))
        elif number > 0 and rng.random() < (0.35 if kind == "hallway" else 0.9):
            clauses.append(Clause("enter", visit.first - 1, visit.first, kind))
    return clauses


def _room_detail(
    survey: Survey, door: int, room: int, spoken: set[str], rng: np.random.Generator
) -> Landmark | None:
    """Something in a room that shows from its door, to tell it from others of its kind."""
    is_only = survey.room_kinds.count(survey.room_kinds[room]) == 1
    if is_only and rng.random() < 0.85:
        return None
    things = [
        thing.index
        for thing in survey.objects
        if thing.room == room and survey.areas[door, :, thing.index].max() >= NOTICED
    ]
    options = [
        (one, weight)
        for one, weight in references(survey, door, things, rng)
        if one.noun not in spoken and (one.colour or is_only)
    ]
    return draw(options, rng) if options else None
