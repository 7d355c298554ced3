"""Shortest paths of a house, and the choice of R2R-style episodes among them.

An agent must not succeed without the instruction: each start has goals in different directions and
pairs of goals whose paths have the same first edge; goals are spread over all rooms. Lengths, turns
and stairs are about as frequent as in R2R.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np

from clipnav.envs.graphs import wrap_angle
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.visibility import Survey

_SHORTEST_PATH = 5.0  # metres, as in R2R
# Share of each number of edges among the paths of a house, as in R2R.
_EDGE_SHARES = {4: 0.32, 5: 0.4, 6: 0.2, 7: 0.08}
LENGTH_WEIGHT = 1.0  # of a number of edges that exceeds its share, in the choice of a path
_TURN_WEIGHT = 0.5  # of each sharp turn of a path
SHARP_TURN = np.radians(60)
_CANDIDATE_WEIGHT = 0.15  # of each candidate along a path, as R2R's paths rarely lead through hubs
_STAIRS_BONUS = 5.0  # of a path with stairs
_STAIRS_START_BONUS = 0.1  # of a start with such paths, in uses as a start
STAIRS_GOAL = 20.0  # of a path that ends on stairs; people rarely send anybody there
CLIMB = 0.9  # metres between the lowest and the highest camera of a path with stairs
_GOAL_SPREAD = 3.5  # smallest distance in metres between goals of one start; success is within 3 m

Episode = TypeVar("Episode")


@dataclass(frozen=True, eq=False)
class Routes:
    """Shortest paths between the V viewpoints of a survey.

    Attributes:
        lengths: (V, V) metres.
        before: (V, V) predecessor of `end` on the path from `start`.
    """

    lengths: np.ndarray
    before: np.ndarray

    @cached_property
    def _before(self) -> list[list[int]]:
        return self.before.tolist()  # reading single elements of arrays is slow

    @classmethod
    def of(cls, survey: Survey) -> Routes:
        """Compute the shortest paths along the edges of a survey."""
        from scipy.sparse.csgraph import dijkstra

        cameras = survey.positions
        if survey.heights is not None:
            cameras = np.column_stack([cameras, survey.heights])
        gaps = np.linalg.norm(cameras[:, None] - cameras[None], axis=2)
        lengths, before = dijkstra(np.where(survey.edges, gaps, 0), return_predecessors=True)
        return cls(lengths, before)

    def path(self, start: int, end: int) -> tuple[int, ...]:
        """Return the viewpoints from start to end, both included."""
        before, path = self._before[start], [end]
        while path[-1] != start:
            path.append(before[path[-1]])
        return tuple(reversed(path))

    def from_start(self, start: int) -> Iterator[tuple[int, ...]]:
        """Yield the shortest paths from a viewpoint to every other viewpoint."""
        return (self.path(start, end) for end in range(len(self.lengths)) if end != start)

    def fits_r2r(self, path: tuple[int, ...]) -> bool:
        """Return whether the length of a path is within the limits of R2R."""
        edges_fit = len(path) - 1 in _EDGE_SHARES
        return edges_fit and bool(self.lengths[path[0], path[-1]] >= _SHORTEST_PATH)


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
        self._edges = dict.fromkeys(_EDGE_SHARES, 0)

    def count(self, path: tuple[int, ...]) -> None:
        """Count a chosen path."""
        self._goals[path[-1]] += 1
        self._rooms[self._rooms_of[path[-1]]] += 1
        self._edges[len(path) - 1] += 1

    def of(self, path: tuple[int, ...]) -> float:
        """Return the weighted usage of a path's goal, room and length."""
        goal, edges = path[-1], len(path) - 1
        excess = self._edges[edges] - _EDGE_SHARES[edges] * sum(self._edges.values())
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
            if all(routes.lengths[path[-1], other[-1]] >= _GOAL_SPREAD for other in chosen)
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
