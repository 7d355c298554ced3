"""Shortest paths of a house, and the choice of those that become episodes.

A follower must not get far by habit: every start gets goals in different places, in pairs whose
paths begin alike; goals are spread over the rooms and paths over the lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from envs.houses.plan.elements import STAIRWELL
from envs.houses.survey.visibility import Survey

FEWEST_EDGES, MOST_EDGES = 4, 7  # as in R2R
SHORTEST_PATH = 5.0  # metres, as in R2R
LENGTH_WEIGHT = 0.1  # of a path's number of edges against its goal, when choosing
GOAL_SPREAD = 3.5  # metres between goals of one start, beyond the 3 m that count as success

Episode = TypeVar("Episode")


@dataclass(frozen=True, eq=False)
class Routes:
    """Shortest paths between the V viewpoints of a survey.

    Attributes:
        lengths: (V, V) metres.
        before: (V, V) the viewpoint before `end` on the path from `start`.
    """

    lengths: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, survey: Survey) -> Routes:
        """Finds the shortest paths along a survey's edges."""
        from scipy.sparse.csgraph import dijkstra

        gaps = np.linalg.norm(survey.positions[:, None] - survey.positions[None], axis=2)
        lengths, before = dijkstra(np.where(survey.edges, gaps, 0), return_predecessors=True)
        return cls(lengths, before)

    def path(self, start: int, end: int) -> tuple[int, ...]:
        """Viewpoints from start to end, both included."""
        path = [end]
        while path[-1] != start:
            path.append(int(self.before[start, path[-1]]))
        return tuple(reversed(path))

    def from_start(self, start: int) -> Iterator[tuple[int, ...]]:
        """The shortest paths from a viewpoint to every other."""
        return (self.path(start, end) for end in range(len(self.lengths)) if end != start)

    def fits_r2r(self, path: tuple[int, ...]) -> bool:
        """Whether a path is as long as those of R2R."""
        edges_fit = FEWEST_EDGES <= len(path) - 1 <= MOST_EDGES
        return edges_fit and bool(self.lengths[path[0], path[-1]] >= SHORTEST_PATH)


def flights(survey: Survey, path: Sequence[int]) -> list[tuple[str, int, int]]:
    """Stairs along a path: ("up" or "down", first position, last position).

    Level edges within a staircase, between two of the same way, belong to them.
    """
    found: list[tuple[str, int, int]] = []
    for position, (here, there) in enumerate(pairwise(path)):
        climb = survey.climb(here, there)
        if climb == 0:
            continue
        kind = "up" if climb > 0 else "down"
        last_kind, first, last = found[-1] if found else ("", 0, 0)
        between = {survey.room_kind(viewpoint) for viewpoint in path[last : position + 1]}
        if kind == last_kind and (last == position or between == {STAIRWELL}):
            found[-1] = (kind, first, position + 1)
        else:
            found.append((kind, position, position + 1))
    return found


def choose_episodes(
    survey: Survey,
    routes: Routes,
    count: int,
    goals_per_start: int,
    taken: set[tuple[int, int]],
    make: Callable[[tuple[int, ...]], Episode | None],
    rng: np.random.Generator,
) -> list[Episode]:
    """Chooses paths and makes episodes of them.

    Args:
        survey: The house.
        routes: Its shortest paths.
        count: How many episodes to make.
        goals_per_start: Episodes that share a start.
        taken: Pairs of start and goal that are spoken for; those that were tried are added.
        make: Turns a path into an episode, or None if the path cannot be told from others.
        rng: Source of all choices.

    Returns:
        At most `count` episodes; fewer where the house has no more paths.
    """
    episodes: list[Episode] = []
    uses = _Uses(survey)
    start_uses = np.zeros(len(survey.viewpoints))
    while len(episodes) < count:
        open_starts = np.flatnonzero(np.isfinite(start_uses))
        if not len(open_starts):
            break
        start = int(min(open_starts, key=lambda s: start_uses[s] + rng.random()))
        start_uses[start] += 1
        goals: list[tuple[int, ...]] = []
        for path in _by_preference(routes, start, uses, goals, rng):
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


class _Uses:
    """How often the chosen paths of a house have used its goals, rooms and lengths."""

    def __init__(self, survey: Survey) -> None:
        self._rooms_of = survey.rooms
        self._goals = np.zeros(len(survey.viewpoints))
        self._rooms = np.zeros(len(survey.room_kinds))
        self._edges = np.zeros(MOST_EDGES + 1)

    def count(self, path: tuple[int, ...]) -> None:
        """Notes a chosen path."""
        self._goals[path[-1]] += 1
        self._rooms[self._rooms_of[path[-1]]] += 1
        self._edges[len(path) - 1] += 1

    def of(self, path: tuple[int, ...]) -> float:
        """How worn what a path uses is; there are many more paths to a length than to a goal."""
        goal = path[-1]
        worn = 2.0 * self._goals[goal] + self._rooms[self._rooms_of[goal]]
        return float(worn + LENGTH_WEIGHT * self._edges[len(path) - 1])


def _by_preference(
    routes: Routes,
    start: int,
    uses: _Uses,
    chosen: list[tuple[int, ...]],
    rng: np.random.Generator,
) -> Iterator[tuple[int, ...]]:
    """Paths from a start, the most wanted next one first, given those `chosen` meanwhile.

    Every second path is to begin with the edge of the one before it, so that the first step alone
    does not give the goal away.
    """
    left = [path for path in routes.from_start(start) if routes.fits_r2r(path)]
    while left:
        distinct = [
            path
            for path in left
            if all(routes.lengths[path[-1], other[-1]] >= GOAL_SPREAD for other in chosen)
        ]
        if not distinct:
            return

        def cost(path: tuple[int, ...]) -> float:
            wants_pair = len(chosen) % 2 == 1
            alone = wants_pair and path[1] != chosen[-1][1]
            return uses.of(path) + alone + rng.random()

        best = min(distinct, key=cost)
        left.remove(best)
        yield best
