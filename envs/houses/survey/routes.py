"""Choice of R2R-style episodes among the shortest paths of a house.

An agent must not succeed without the instruction: each start has goals in different directions and
pairs of goals whose paths have the same first edge; goals are spread over all rooms. Lengths, turns
and stairs are about as frequent as in R2R.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import numpy as np

from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.routes import EDGE_SHARES, GOAL_SPREAD, Routes
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.visibility import Survey

LENGTH_WEIGHT = 1.0  # of a number of edges that exceeds its share, in the choice of a path
_TURN_WEIGHT = 0.5  # of each sharp turn of a path
SHARP_TURN = np.radians(60)
_CANDIDATE_WEIGHT = 0.15  # of each candidate along a path, as R2R's paths rarely lead through hubs
_STAIRS_BONUS = 5.0  # of a path with stairs
_STAIRS_START_BONUS = 0.1  # of a start with such paths, in uses as a start
STAIRS_GOAL = 20.0  # of a path that ends on stairs; people rarely send anybody there
CLIMB = 0.9  # metres between the lowest and the highest camera of a path with stairs

Episode = TypeVar("Episode")


def choose_episodes(
    survey: Survey,
    routes: Routes,
    count: int,
    goals_per_start: int,
    taken: set[tuple[int, int]],
    make: Callable[[tuple[int, ...]], Episode | None],
    rng: np.random.Generator,
) -> list[Episode]:
    """Choose paths and build episodes from them."""
    episodes: list[Episode] = []
    uses = _UsageCounts(survey)
    start_uses = np.array(
        [
            -_STAIRS_START_BONUS
            * any(
                _climbs(survey, path) and not _ends_on_stairs(survey, path)
                for path in _suitable(routes, start)
            )
            for start in range(len(survey.viewpoints))
        ]
    )
    while len(episodes) < count:
        open_starts = np.flatnonzero(np.isfinite(start_uses))
        if not len(open_starts):
            break
        start = int(min(open_starts, key=lambda s: start_uses[s] + rng.random()))
        start_uses[start] += 1
        goals: list[tuple[int, ...]] = []
        for path in _by_preference(survey, routes, start, uses, goals, rng):
            if (start, path[-1]) in taken:
                continue
            episode = make(path)
            taken.add((start, path[-1]))
            if episode is None:
                continue
            episodes.append(episode)
            goals.append(path)
            uses.count(path)
            if len(goals) == goals_per_start or len(episodes) == count:
                break
        if not goals:
            start_uses[start] = np.inf
    return episodes


class _UsageCounts:
    """Number of chosen paths of a house for each goal, room and length."""

    def __init__(self, survey: Survey) -> None:
        self._rooms_of = survey.rooms
        self._goals = np.zeros(len(survey.viewpoints))
        self._rooms = np.zeros(len(survey.room_kinds))
        self._edges = dict.fromkeys(EDGE_SHARES, 0)

    def count(self, path: tuple[int, ...]) -> None:
        """Count a chosen path."""
        self._goals[path[-1]] += 1
        self._rooms[self._rooms_of[path[-1]]] += 1
        self._edges[len(path) - 1] += 1

    def of(self, path: tuple[int, ...]) -> float:
        """Return the weighted usage of a path's goal, room and length."""
        goal, edges = path[-1], len(path) - 1
        excess = self._edges[edges] - EDGE_SHARES[edges] * sum(self._edges.values())
        usage = 2.0 * self._goals[goal] + self._rooms[self._rooms_of[goal]]
        return float(usage + LENGTH_WEIGHT * excess)


def _shape_cost(survey: Survey, path: tuple[int, ...]) -> float:
    """Return the cost of the sharp turns and the candidates of a path, less the bonus of stairs."""
    headings = np.array([survey.heading(here, there) for here, there in pairwise(path)])
    turns = np.abs(wrap_angle(np.diff(headings))) > SHARP_TURN
    candidates = float(survey.edges[list(path[:-1])].sum())
    cost = _TURN_WEIGHT * float(turns.sum()) + _CANDIDATE_WEIGHT * candidates
    cost += STAIRS_GOAL * _ends_on_stairs(survey, path)
    return cost - _STAIRS_BONUS * _climbs(survey, path)


def _climbs(survey: Survey, path: tuple[int, ...]) -> bool:
    return survey.heights is not None and bool(np.ptp(survey.heights[list(path)]) > CLIMB)


def _ends_on_stairs(survey: Survey, path: tuple[int, ...]) -> bool:
    return survey.room_kind(path[-1]) == STAIRWELL


def _suitable(routes: Routes, start: int) -> list[tuple[int, ...]]:
    return [path for path in routes.from_start(start) if routes.fits_r2r(path)]


def _by_preference(
    survey: Survey,
    routes: Routes,
    start: int,
    uses: _UsageCounts,
    chosen: list[tuple[int, ...]],
    rng: np.random.Generator,
) -> Iterator[tuple[int, ...]]:
    """Yield paths from a start, each time the best one given the paths `chosen` meanwhile.

    Every second path preferably has the same first edge as the path before it, so that the first
    step alone does not determine the goal.
    """
    remaining = {path: _shape_cost(survey, path) for path in _suitable(routes, start)}
    while remaining:
        distinct = [
            path
            for path in remaining
            if all(routes.lengths[path[-1], other[-1]] >= GOAL_SPREAD for other in chosen)
        ]
        if not distinct:
            return

        def cost(path: tuple[int, ...]) -> float:
            wants_pair = len(chosen) % 2 == 1
            is_unpaired = wants_pair and path[1] != chosen[-1][1]
            return remaining[path] + uses.of(path) + is_unpaired + rng.random()

        best = min(distinct, key=cost)
        del remaining[best]
        yield best
