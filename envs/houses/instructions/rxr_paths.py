"""Paths of RxR-style episodes: long, and mostly not the shortest path to the goal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.routes import STAIRS_GOAL, Routes
from clipnav.envs.houses.survey.visibility import Survey

FEWEST_EDGES, MOST_EDGES = 8, 14
NEAREST_GOAL = 4.0  # metres from the start, so that an agent that does not move fails
LONGEST_DETOUR = 2.5  # largest ratio of a path to the shortest path
SHORTEST_SHARE = 0.25  # probability of drawing a shortest path, if the house has long enough ones
DRAWS = 24  # number of candidates; the one with the least used goal, room and length is chosen
MOST_VIAS = 80  # largest number of intermediate viewpoints; larger houses have enough paths
LENGTH_WEIGHT = 1.5  # weight of the number of edges in this choice

Path = tuple[int, ...]
Episode = TypeVar("Episode")


def candidate_paths(routes: Routes) -> tuple[list[Path], list[Path]]:
    """Return the suitable paths of a house: shortest paths, and detours via another viewpoint.

    No path visits a viewpoint twice. Both lists are sorted.
    """
    count = len(routes.lengths)
    paths = {(a, b): routes.path(a, b) for a in range(count) for b in range(count)}
    shortest = {path for path in paths.values() if _fits(routes, path)}
    edges = np.array([[len(paths[a, b]) - 1 for b in range(count)] for a in range(count)])
    detours: set[Path] = set()
    for via in range(0, count, 1 + count // MOST_VIAS):
        total = edges[:, via, None] + edges[None, via]
        detour = routes.lengths[:, via, None] + routes.lengths[None, via]
        suits = (total >= FEWEST_EDGES) & (total <= MOST_EDGES)
        suits &= detour <= LONGEST_DETOUR * routes.lengths + 1e-9
        for start, goal in np.argwhere(suits).tolist():
            path = paths[start, via] + paths[via, goal][1:]
            if path != paths[start, goal] and _fits(routes, path):
                detours.add(path)
    return sorted(shortest), sorted(detours)


def _fits(routes: Routes, path: Path) -> bool:
    if not FEWEST_EDGES <= len(path) - 1 <= MOST_EDGES or len(set(path)) < len(path):
        return False
    direct = routes.lengths[path[0], path[-1]]
    if direct < NEAREST_GOAL:
        return False
    edges = routes.lengths[path[:-1], path[1:]]
    return bool(edges.sum() <= LONGEST_DETOUR * direct)


def choose_paths(
    survey: Survey,
    candidates: tuple[list[Path], list[Path]],
    count: int,
    taken: set[tuple[int, int]],
    make: Callable[[Path], Episode | None],
    rng: np.random.Generator,
) -> list[Episode]:
    """Choose paths with varied starts, goals, rooms and lengths, and build episodes from them.

    Args:
        candidates: Result of `candidate_paths`.
    """
    pools = [list(paths) for paths in candidates]
    episodes: list[Episode] = []
    uses: dict[tuple[str, int], float] = {}
    while len(episodes) < count and any(pools):
        pool = pools[0] if pools[0] and rng.random() < SHORTEST_SHARE else pools[1] or pools[0]
        drawn = rng.choice(len(pool), size=min(DRAWS, len(pool)), replace=False)
        number = min(drawn.tolist(), key=lambda index: _usage(survey, pool[index], uses))
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


def _usage(survey: Survey, path: Path, uses: dict[tuple[str, int], float]) -> float:
    usage = sum(uses.get(key, 0.0) for key, _ in _features(survey, path))
    return usage + STAIRS_GOAL * (survey.room_kind(path[-1]) == STAIRWELL)


def _features(survey: Survey, path: Path) -> list[tuple[tuple[str, int], float]]:
    """Return the features of a path that should vary between episodes, with weights."""
    return [
        (("start", path[0]), 1.0),
        (("goal", path[-1]), 2.0),
        (("room", int(survey.rooms[path[-1]])), 0.5),
        (("edges", len(path) - 1), LENGTH_WEIGHT),
    ]
