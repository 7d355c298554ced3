"""Navigation graph of a house: where its panoramas are taken and which of them connect.

The graph has the format of the Matterport3D Simulator (see `connectivity`). As there, an edge means
that one sees and walks straight from one viewpoint to the next.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.houses.clearance import CELL, ClearanceMap, clearance_map
from envs.houses.floor_plan import FloorPlan

if TYPE_CHECKING:
    from envs.houses.house import House
    from envs.panoramas.ray_tracer import RayTracer

EYE_HEIGHT = 1.5  # metres
MOST_VIEWPOINTS = 30  # before repairs; each costs 36 views of features
STANDING_CLEARANCE = 0.25  # metres around a viewpoint
WALKING_CLEARANCE = 0.14  # metres around the straight walk along an edge
# Around a walk from cell to cell; a straight line between two of its cells strays by up to a cell.
PATH_CLEARANCE = WALKING_CLEARANCE + CELL
LONGEST_EDGE = 4.5  # metres
DOORSTEP = 0.85  # metres from the middle of a passage to the viewpoint beside it
CROWDED = 0.5  # metres; two viewpoints of one place, of which one will do
VIEWPOINT_TAG = 11


def place_viewpoints(house: House, tracer: RayTracer) -> list[dict[str, Any]]:
    """Places the viewpoints of a house and connects them.

    Returns:
        Connectivity records. The included ones form one connected component that reaches every
        room; the others could not be connected.

    Raises:
        ValueError: A room cannot be reached on foot.
    """
    floor = clearance_map(house, tracer)
    points = _choose_points(house, floor)
    points = _thin(_repair(points, floor, tracer), floor, tracer)
    visible = _visibility(points, tracer)
    unobstructed = _edges(points, visible, floor)
    included = _largest_component(unobstructed)
    rooms = {house.plan.room_at(*point) for point in points[included]}
    unreached = [room.kind for room in house.plan.rooms if room.index not in rooms]
    if unreached:
        raise ValueError(
            f"{house.spec.scan}: no viewpoint reaches {', '.join(unreached)}: the furniture blocks "
            f"the way. Choose another plan seed than {house.spec.plan_seed} in house_set.py"
        )
    records = []
    for i, point in enumerate(points):
        x, y = float(point[0]), float(point[1])
        records.append(
            {
                "image_id": hashlib.md5(f"{house.spec.scan}:{x:.3f},{y:.3f}".encode()).hexdigest(),
                "pose": [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, EYE_HEIGHT, 0, 0, 0, 1],
                "included": bool(included[i]),
                "visible": visible[i].tolist(),
                "unobstructed": unobstructed[i].tolist(),
                "height": EYE_HEIGHT,
            }
        )
    return records


def _choose_points(house: House, floor: ClearanceMap) -> np.ndarray:
    """Spots to stand on, (N, 2) metres rounded to millimetres.

    Both sides of every passage come first, then the widest places, at a spacing that keeps the
    number of viewpoints (and so of panoramas to encode) within its limits.
    """
    from scipy import ndimage

    labels = np.zeros(floor.clearance.shape, int)
    ndimage.label(floor.clearance > PATH_CLEARANCE, output=labels)
    main = np.bincount(labels[labels > 0]).argmax()
    standing = (labels == main) & (floor.clearance > STANDING_CLEARANCE)
    spots, clearance = floor.centres()[standing], floor.clearance[standing]
    rooms = np.array([house.plan.room_at(*spot) for spot in spots])
    rng = np.random.default_rng([house.spec.plan_seed, VIEWPOINT_TAG])
    # Beyond 0.8 m more room makes a place no better, and a little noise breaks up the rows that
    # straight walls would give.
    preference = np.minimum(clearance, 0.8) + rng.uniform(0, 0.15, len(spots))
    doorsteps = _doorsteps(house.plan, spots, rooms)
    chosen: list[int] = []
    for spacing in np.arange(1.3, 2.6, 0.1):
        chosen = _fill(spots, rooms, preference, doorsteps, spacing)
        if len(chosen) <= MOST_VIEWPOINTS:
            break
    return np.round(spots[chosen], 3)


def _doorsteps(plan: FloorPlan, spots: np.ndarray, rooms: np.ndarray) -> list[int]:
    """The spots nearest to the two doorsteps of every passage between rooms."""
    doorsteps = []
    for opening in plan.openings:
        if not opening.is_passage or -1 in opening.rooms:
            continue
        normal = np.array([0.0, 1.0] if opening.axis == "x" else [1.0, 0.0])
        for side in (-1, 1):
            wanted = opening.centre + side * DOORSTEP * normal
            room = plan.room_at(*wanted)
            distance = np.where(rooms == room, np.linalg.norm(spots - wanted, axis=1), np.inf)
            if distance.min() < 0.6:
                doorsteps.append(int(distance.argmin()))
    return doorsteps


def _fill(
    spots: np.ndarray,
    rooms: np.ndarray,
    preference: np.ndarray,
    doorsteps: list[int],
    spacing: float,
) -> list[int]:
    """Picks spots greedily: doorsteps, one in every room, then by preference, `spacing` m apart.

    Across a wall two viewpoints may stand closer, for neither sees the other.
    """
    chosen: list[int] = []
    in_room = np.full(len(spots), np.inf)  # metres to the nearest chosen spot of the same room
    anywhere = np.full(len(spots), np.inf)  # metres to the nearest chosen spot

    def choose(spot: int) -> None:
        chosen.append(spot)
        away = np.linalg.norm(spots - spots[spot], axis=1)
        np.minimum(anywhere, away, out=anywhere)
        np.minimum(in_room, np.where(rooms == rooms[spot], away, np.inf), out=in_room)

    def is_free(distance: float) -> np.ndarray:
        return (in_room > distance) & (anywhere > 0.65 * distance)

    for spot in doorsteps:
        if is_free(min(0.8 * spacing, 1.4))[spot]:
            choose(spot)
    for room in np.unique(rooms[rooms >= 0]):
        if room not in rooms[chosen]:
            choose(int(np.where(rooms == room, preference, -1).argmax()))
    while is_free(spacing).any():
        choose(int(np.where(is_free(spacing), preference, -1).argmax()))
    return chosen


def _visibility(points: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Which viewpoints see each other at eye height: (N, N) bool, False on the diagonal."""
    first, second = np.triu_indices(len(points), 1)
    visible = np.zeros((len(points), len(points)), bool)
    visible[first, second] = _sees(points[first], points[second], tracer)
    return visible | visible.T


def _sees(first: np.ndarray, second: np.ndarray, tracer: RayTracer) -> np.ndarray:
    """Whether N pairs of points (N, 2) see each other at eye height, both ways: (N,) bool."""
    height = np.full((len(first), 1), EYE_HEIGHT)
    a, b = np.hstack([first, height]), np.hstack([second, height])
    return ~(tracer.occluded(a, b) | tracer.occluded(b, a))


def _edges(points: np.ndarray, visible: np.ndarray, floor: ClearanceMap) -> np.ndarray:
    """Which viewpoints are joined by an edge: (N, N) bool."""
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    edges = visible & (distance <= LONGEST_EDGE)
    for i, j in np.argwhere(np.triu(edges)):
        edges[i, j] = edges[j, i] = floor.along(points[i], points[j]) >= WALKING_CLEARANCE
    return edges


def _repair(points: np.ndarray, floor: ClearanceMap, tracer: RayTracer) -> np.ndarray:
    """Adds viewpoints along the shortest walks between components until the graph is one.

    A viewpoint at the end of a walk that edges cannot follow is given up.

    Args:
        points: (N, 2) metres.
        floor: Where the walks lead.
        tracer: Says what is visible.

    Returns:
        (N + M, 2) metres. Components that no walk reaches are left alone.
    """
    from scipy.sparse.csgraph import connected_components

    for _ in range(len(points)):
        count, labels = connected_components(_edges(points, _visibility(points, tracer), floor))
        main = np.bincount(labels).argmax()
        walk = _walk_between(points[labels == main], points[labels != main], floor)
        if count == 1 or walk is None:
            break
        steps = _steps_along(walk, floor, tracer)
        if not len(steps):
            points = points[np.linalg.norm(points - walk[0], axis=1) > 0]
            continue
        points = np.concatenate([points, steps])
    return points


def _thin(points: np.ndarray, floor: ClearanceMap, tracer: RayTracer) -> np.ndarray:
    """Drops viewpoints (N, 2) that stand close to another one and join nothing."""
    from scipy.sparse.csgraph import connected_components

    edges = _edges(points, _visibility(points, tracer), floor)
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
    """Shortest walk (S, 2) in metres from any source to any target point, or None.

    Narrow places cost more, so that the walk keeps to the middle of doors.
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


def _steps_along(walk: np.ndarray, floor: ClearanceMap, tracer: RayTracer) -> np.ndarray:
    """Thins a walk (S, 2) to the inner points (M, 2) that edges can join, greedily the farthest."""
    steps, here = [], 0
    while here < len(walk) - 1:
        ahead = np.arange(here + 1, len(walk))
        ahead = ahead[np.linalg.norm(walk[ahead] - walk[here], axis=1) <= 0.8 * LONGEST_EDGE]
        seen = _sees(np.repeat(walk[None, here], len(ahead), axis=0), walk[ahead], tracer)
        clear = [floor.along(walk[here], walk[k]) >= WALKING_CLEARANCE for k in ahead]
        reachable = ahead[seen & np.array(clear, bool)]
        if not len(reachable):
            return np.zeros((0, 2))
        here = int(reachable[-1])
        steps.append(walk[here])
    return np.array(steps[:-1]).reshape(-1, 2)


def _largest_component(edges: np.ndarray) -> np.ndarray:
    """Which viewpoints belong to the largest connected component of edges (N, N): (N,) bool."""
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(edges)
    return labels == np.bincount(labels).argmax()
