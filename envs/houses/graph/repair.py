"""Repair of the graph of a storey: viewpoints along walks that join its components."""

from __future__ import annotations

import numpy as np

from clipnav.envs.houses.graph.clearance import CELL, ClearanceMap
from clipnav.envs.houses.graph.ground import PATH_CLEARANCE, WALKING_CLEARANCE, Ground

CROWDED = 0.5  # metres; one of two closer viewpoints may be redundant


def join_components(points: np.ndarray, ground: Ground) -> np.ndarray:
    """Add viewpoints along the shortest walks between components until the graph is connected.

    If edges cannot follow a walk, the viewpoint at its start is dropped.

    Args:
        points: (N, 2) metres.

    Returns:
        (N + M, 2) metres. Components that no walk reaches stay unconnected.
    """
    from scipy.sparse.csgraph import connected_components

    for _ in range(len(points)):
        count, labels = connected_components(ground.edges(points))
        main = np.bincount(labels).argmax()
        walk = _walk_between(points[labels == main], points[labels != main], ground.floor)
        if count == 1 or walk is None:
            break
        steps = _steps_along(walk, ground)
        if not len(steps):
            points = points[np.linalg.norm(points - walk[0], axis=1) > 0]
            continue
        points = np.concatenate([points, steps])
    return points


def thin(points: np.ndarray, ground: Ground) -> np.ndarray:
    """Drop viewpoints (N, 2) that are close to another one and not needed for connectivity."""
    from scipy.sparse.csgraph import connected_components

    edges = ground.edges(points)
    kept = np.ones(len(points), bool)
    for i in range(len(points)):
        beside = np.linalg.norm(points - points[i], axis=1) < CROWDED
        others = kept.copy()
        others[i] = False
        if (edges[i] & beside & kept).any():
            before, _ = connected_components(edges[kept][:, kept])
            after, _ = connected_components(edges[others][:, others])
            kept = others if after == before else kept
    return points[kept]


def _walk_between(sources: np.ndarray, targets: np.ndarray, floor: ClearanceMap):
    """Return the shortest walk (S, 2) in metres from any source to any target point, or None.

    Narrow positions cost more, so that walks pass through the middle of doors.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    if not len(targets):
        return None
    walkable = floor.clearance > PATH_CLEARANCE
    number = np.full(walkable.shape, -1)
    number[walkable] = np.arange(walkable.sum())
    cost = 1 + 0.5 / np.maximum(floor.clearance, CELL)
    rows, columns, weights = [], [], []
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        shifted = np.roll(number, (-dx, -dy), axis=(0, 1))
        linked = (number >= 0) & (shifted >= 0)
        rows.append(number[linked])
        columns.append(shifted[linked])
        weights.append(cost[linked] * np.hypot(dx, dy))
    cells = int(walkable.sum())
    links = coo_array(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (cells, cells)
    )
    start = number[floor.cells(sources)]
    distance, before, _ = dijkstra(
        links.tocsr(),
        directed=False,
        indices=start[start >= 0],
        return_predecessors=True,
        min_only=True,
    )
    ends = number[floor.cells(targets)]
    ends = ends[ends >= 0]
    if not len(ends) or not np.isfinite(distance[ends]).any():
        return None
    cell = int(ends[distance[ends].argmin()])
    walk = []
    while cell >= 0:
        walk.append(cell)
        cell = int(before[cell])
    return np.round(floor.centres()[walkable][walk], 3)


def _steps_along(walk: np.ndarray, ground: Ground) -> np.ndarray:
    """Reduce a walk (S, 2) to inner points (M, 2) that edges join, greedily the farthest ones."""
    steps, here, reach = [], 0, 0.8 * ground.rule.longest_edge
    while here < len(walk) - 1:
        ahead = np.arange(here + 1, len(walk))
        ahead = ahead[np.linalg.norm(walk[ahead] - walk[here], axis=1) <= reach]
        seen = ground.sees(np.repeat(walk[None, here], len(ahead), axis=0), walk[ahead])
        clear = [ground.floor.along(walk[here], walk[k]) >= WALKING_CLEARANCE for k in ahead]
        reachable = ahead[seen & np.array(clear, bool)]
        if not len(reachable):
            return np.zeros((0, 2))
        here = int(reachable[-1])
        steps.append(walk[here])
    return np.array(steps[:-1]).reshape(-1, 2)
