"""Waymarks: landmarks on the path that an instruction mentions to pass, cross or approach them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from clipnav.envs.graphs import wrap_angle
from clipnav.envs.houses.survey.clauses import Clause
from clipnav.envs.houses.survey.landmarks import NOTICED, Landmark, contrast, references
from clipnav.envs.houses.survey.visibility import Survey

PASSED_WITHIN = 1.7  # largest distance in metres from an edge to a landmark that it passes
LARGEST_GAIN = 0.15  # fraction of a view; a higher contrast does not increase the weight

Choice = TypeVar("Choice")


def waymark_options(
    survey: Survey, path: tuple[int, ...], rng: np.random.Generator
) -> list[tuple[Clause, float]]:
    """Return waymarks of a path, with higher weights for those that identify the next step."""
    options = []
    for step in range(len(path) - 1):
        here, there = path[step], path[step + 1]
        in_view = survey.areas[here, survey.view(here, there)]
        things = np.flatnonzero(in_view >= 2 * NOTICED).tolist()
        for landmark, weight in references(survey, here, things, rng):
            relation = _relation(survey, path, step, landmark)
            gain = contrast(survey, landmark, here, there) if relation else 0.0
            if gain > NOTICED:
                says_side = relation == "past" and rng.random() < 0.25
                side = _side(survey, here, there, landmark) if says_side else ""
                clause = Clause(relation, step, step + 1, landmark=landmark, side=side)
                options.append((clause, weight * min(gain, LARGEST_GAIN)))
    return options


def choose_waymarks(
    options: Sequence[tuple[Clause, float]],
    mentioned: set[str],
    count: int,
    rng: np.random.Generator,
) -> list[Clause]:
    """Draw up to `count` of the options, at most one per step.

    No noun is used twice. The nouns of the drawn options are added to `mentioned`.
    """
    chosen: list[Clause] = []
    while len(chosen) < count:
        steps = {clause.first for clause in chosen}
        remaining = [
            (clause, weight)
            for clause, weight in options
            if clause.first not in steps and not _nouns(clause) & mentioned
        ]
        if not remaining:
            break
        chosen.append(draw(remaining, rng))
        mentioned.update(_nouns(chosen[-1]))
    return chosen


def _relation(survey: Survey, path: tuple[int, ...], step: int, landmark: Landmark) -> str:
    """Return the relation of a step to a landmark: "past", "across", "toward" or ""."""
    here, there = path[step], path[step + 1]
    thing = landmark.things[0]
    start, end = survey.positions[here], survey.positions[there]
    length = float(np.linalg.norm(end - start))
    along, reach = passing(survey, here, there, thing)
    if landmark.noun == "rug":
        points = (start, (start + end) / 2, end)
        is_crossed = any(survey.gaps_at(point)[thing] == 0 for point in points)
        return "across" if is_crossed else ""
    if 0.3 < along < length + 0.3 and reach <= PASSED_WITHIN and step + 2 < len(path):
        return "past"
    nearer = survey.gaps[here, thing] - survey.gaps[there, thing]
    visited = {survey.rooms[viewpoint] for viewpoint in path[step:]}
    if nearer > 0.6 * length and survey.objects[thing].room in visited:
        return "toward"
    return ""


def passing(survey: Survey, here: int, there: int, thing: int) -> tuple[float, float]:
    """Return the position of an object's centre along an edge and its smallest distance: metres."""
    start, end = survey.positions[here], survey.positions[there]
    length = float(np.linalg.norm(end - start))
    ahead = (end - start) / length
    away = survey.boxes[thing].mean(axis=0) - start
    along = float(away @ ahead)
    aside = float(np.linalg.norm(np.clip(along, 0, length) * ahead - away))
    return along, min(survey.gaps[here, thing], survey.gaps[there, thing], aside)


def _nouns(clause: Clause) -> set[str]:
    return {clause.landmark.noun} if clause.landmark else set()


def _side(survey: Survey, here: int, there: int, landmark: Landmark) -> str:
    """Return the side of a landmark relative to an edge, or "" if it is ahead or behind."""
    x, y = survey.boxes[landmark.things[0]].mean(axis=0) - survey.positions[here]
    angle = wrap_angle(np.arctan2(x, y) - survey.heading(here, there))
    if not np.radians(20) < abs(angle) < np.radians(120):
        return ""
    return "right" if angle > 0 else "left"


def draw(options: Sequence[tuple[Choice, float]], rng: np.random.Generator) -> Choice:
    """Draw one of several (choice, weight) pairs with probability proportional to its weight."""
    weights = np.array([weight for _, weight in options])
    return options[rng.choice(len(options), p=weights / weights.sum())][0]
