"""Paths of RxR-style episodes: long, and mostly led through a place that is not on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from envs.houses.survey.routes import Routes
from envs.houses.survey.visibility import Survey

FEWEST_EDGES, MOST_EDGES = 8, 14
NEAREST_GOAL = 4.0  # metres from the start, so that staying there is no success
LONGEST_DETOUR = 2.5  # times the shortest way to the goal
SHORTEST_SHARE = 0.25  # of the episodes that take the shortest way, where the house has such
DRAWS = 24  # candidates among which the one is taken whose goal, room and length are least used
MOST_VIAS = 80  # viewpoints of a house that detours lead by; larger houses have paths enough
LENGTH_WEIGHT = 1.5  # of a path's number of edges against its goal, when choosing

Path = tuple[int, ...]
Episode = TypeVar("Episode")


def candidate_paths(routes: Routes) -> tuple[list[Path], list[Path]]:
    """Paths of a house that suit: shortest ones, and those by way of one more viewpoint.

    None comes by a viewpoint twice. Both lists are in a fixed order.
    """
    count = len(routes.lengths)
    ways = {(a, b): routes.path(a, b) for a in range(count) for b in range(count)}
    shortest = {path for path in ways.values() if _fits(routes, path)}
    edges = np.array([[len(ways[a, b]) - 1 for b in range(count)] for a in range(count)])
    detours: set[Path] = set()
    for via in range(0, count, 1 + count // MOST_VIAS):
        total = edges[:, via, None] + edges[None, via]
        detour = routes.lengths[:, via, None] + routes.lengths[None, via]
        suits = (total >= FEWEST_EDGES) & (total <= MOST_EDGES)
        suits &= detour <= LONGEST_DETOUR * routes.lengths + 1e-9
        for start, goal in np.argwhere(suits).tolist():
            path = ways[start, via] + ways[via, goal][1:]
            if path != ways[start, goal] and _fits(routes, path):
                detours.add(path)
    return sorted(shortest), sorted(detours)


def _fits(routes: Routes, path: Path) -> bool:
    if not FEWEST_EDGES <= len(path) - 1 <= MOST_EDGES or len(set(path)) < len(path):
        return False
    direct = routes.lengths[path[0], path[-1]]
    edges = routes.lengths[list(path[:-1]), list(path[1:])]
    return bool(direct >= NEAREST_GOAL and edges.sum() <= LONGEST_DETOUR * direct)


def choose_paths(
    survey: Survey,
    routes: Routes,
    count: int,
    taken: set[tuple[int, int]],
    make: Callable[[Path], Episode | None],
    rng: np.random.Generator,
) -> list[Episode]:
    """Chooses paths spread over starts, goals, rooms and lengths and makes episodes of them.

    Args:
        survey: The house.
        routes: Its shortest paths.
        count: How many episodes to make.
        taken: Pairs of start and goal that are spoken for; the chosen ones are added.
        make: Turns a path into an episode, or None if it cannot be told.
        rng: Source of all choices.

    Returns:
        At most `count` episodes; fewer where the house has no more paths.
    """
    pools = candidate_paths(routes)
    episodes: list[Episode] = []
    uses: dict[tuple[str, int], float] = {}
    while len(episodes) < count and any(pools):
        pool = pools[0] if pools[0] and rng.random() < SHORTEST_SHARE else pools[1] or pools[0]
        drawn = rng.choice(len(pool), size=min(DRAWS, len(pool)), replace=False)
        number = min(drawn.tolist(), key=lambda one: _worn(survey, pool[one], uses))
        path = pool.pop(number)
        if (path[0], path[-1]) in taken:
            continue
        episode = make(path)
        if episode is None:
            continue
        taken.add((path[0], path[-1]))
        episodes.append(episode)
        for key, weight in _features(survey, path):
            uses[key] = uses.get(key, 0.0) + weight
    return episodes


def _worn(survey: Survey, path: Path, uses: dict[tuple[str, int], float]) -> float:
    return sum(uses.get(key, 0.0) for key, _ in _features(survey, path))


def _features(survey: Survey, path: Path) -> list[tuple[tuple[str, int], float]]:
    """What of a path should be spread over a house's episodes, with weights."""
    return [
        (("start", path[0]), 1.0),
        (("goal", path[-1]), 2.0),
        (("room", int(survey.rooms[path[-1]])), 0.5),
        (("edges", len(path) - 1), LENGTH_WEIGHT),
    ]
