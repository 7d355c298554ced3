"""Navigation graph of a house: its viewpoints and edges.

The graph has the format of the Matterport3D Simulator (see `connectivity`). As there, an edge means
that the straight line between two viewpoints is visible and walkable, on a floor or along stairs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.envs.graphs.sight import see_each_other, visibility, without_shortcuts
from clipnav.envs.houses.graph.clearance import CELL, ClearanceMap, clearance_map
from clipnav.envs.houses.plan.elements import EYE_HEIGHT, STAIRWELL, Stairs
from clipnav.envs.houses.plan.floor_plan import FloorPlan
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.panoramas.ray_tracer import RayTracer


_WALKING_CLEARANCE = 0.14  # minimum clearance in metres along an edge
# Minimum clearance of a walk from cell to cell; a straight line deviates from it by up to one cell.
_PATH_CLEARANCE = _WALKING_CLEARANCE + CELL


LONGEST_EDGE = 4.8  # metres
_CLOSEST = 1.42  # metres between viewpoints of a room
_STANDING_CLEARANCE = 0.25  # metres around a viewpoint
_DOORSTEP = 0.85  # metres from the middle of a passage to the viewpoint beside it
_STAIR_STEP = 0.7  # metres from the front of stairs to the viewpoint in front of them
_VIEWPOINT_TAG = 11
_CROWDED = 0.5  # metres; one of two closer viewpoints may be redundant
_AT_FRONT = 0.2  # metres in front of the stairs up to which clearance is checked
_STAIR_MARGIN = 0.12  # minimum distance in metres of a walk on stairs from rail and wall


@dataclass(frozen=True, eq=False)
class Ground:
    """A storey of a house.

    Attributes:
        floor: Clearance map of the storey.
        tracer: Ray tracer of the whole house.
    """

    floor: ClearanceMap
    tracer: RayTracer

    def eyes(self, points: np.ndarray) -> np.ndarray:
        """Return camera positions (N, 3) above points (N, 2)."""
        return np.hstack([points, np.full((len(points), 1), self.floor.floor + EYE_HEIGHT)])

    def sees(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return a mask (N,) bool of the pairs of points (N, 2) with sight at eye height."""
        return see_each_other(self.eyes(first), self.eyes(second), self.tracer)

    def edges(self, points: np.ndarray) -> np.ndarray:
        """Return edges (N, N) bool between points (N, 2): short, visible and with clearance."""
        distance = np.linalg.norm(points[:, None] - points[None], axis=2)
        edges = visibility(self.eyes(points), self.tracer) & (distance <= LONGEST_EDGE)
        for i, j in np.argwhere(np.triu(edges)):
            clearance = self.floor.along(points[i], points[j])
            edges[i, j] = edges[j, i] = clearance >= _WALKING_CLEARANCE
        return edges


def _choose_points(plan: FloorPlan, floor: ClearanceMap, storey: int, seed: int) -> np.ndarray:
    """Choose the viewpoints of a storey.

    Positions in front of stairs and on both sides of every passage have priority. Open positions
    follow.

    Returns:
        (N, 2) metres, rounded to millimetres.
    """
    from scipy import ndimage

    labels = np.zeros(floor.clearance.shape, int)
    ndimage.label(floor.clearance > _PATH_CLEARANCE, output=labels)
    main = np.bincount(labels[labels > 0]).argmax()
    standing = (labels == main) & (floor.clearance > _STANDING_CLEARANCE)
    spots, clearance = floor.centres()[standing], floor.clearance[standing]
    rooms = np.array([plan.room_at(x, y, floor.floor) for x, y in spots])
    rng = np.random.default_rng([seed, _VIEWPOINT_TAG] + [storey] * (storey > 0))
    # Clearance above 0.8 m adds no preference, and noise breaks up the rows that straight walls
    # would give.
    preference = np.minimum(clearance, 0.8) + rng.uniform(0, 0.15, len(spots))
    wanted = _stair_steps(plan, storey) + _doorsteps(plan, storey)
    doorsteps = [spot for want in wanted for spot in _nearest(plan, floor, want, spots, rooms)]
    return np.round(spots[_fill(spots, rooms, preference, doorsteps)], 3)


def _stair_steps(plan: FloorPlan, storey: int) -> list[np.ndarray]:
    """Return points (2,) in front of the foot and the head of stairs."""
    return [
        np.array(flight.end(upper, _STAIR_STEP)[:2])
        for flight in plan.stairs
        for upper in (False, True)
        if flight.storey + upper == storey
    ]


def _doorsteps(plan: FloorPlan, storey: int) -> list[np.ndarray]:
    """Return points (2,) on both sides of every passage between rooms."""
    doorsteps = []
    for opening in plan.openings:
        if not opening.is_passage or -1 in opening.rooms or opening.storey != storey:
            continue
        if any(plan.rooms[index].kind == STAIRWELL for index in opening.rooms):
            continue
        normal = np.array([0.0, 1.0] if opening.axis == "x" else [1.0, 0.0])
        doorsteps += [opening.centre + side * _DOORSTEP * normal for side in (-1, 1)]
    return doorsteps


def _nearest(
    plan: FloorPlan, floor: ClearanceMap, wanted: np.ndarray, spots: np.ndarray, rooms: np.ndarray
) -> list[int]:
    """Return the index of the nearest spot of the same room to a wanted point, if within 0.6 m."""
    room = plan.room_at(float(wanted[0]), float(wanted[1]), floor.floor)
    distance = np.where(rooms == room, np.linalg.norm(spots - wanted, axis=1), np.inf)
    return [int(distance.argmin())] if distance.min() < 0.6 else []


def _fill(
    spots: np.ndarray,
    rooms: np.ndarray,
    preference: np.ndarray,
    doorsteps: list[int],
) -> list[int]:
    """Pick spots greedily: doorsteps, one in every room, then by preference, `_CLOSEST` apart.

    Viewpoints on both sides of a wall may be closer, because they do not see each other.
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
        if is_free(0.8 * _CLOSEST)[spot]:
            choose(spot)
    for room in np.unique(rooms[rooms >= 0]):
        if room not in rooms[chosen]:
            choose(int(np.where(rooms == room, preference, -1).argmax()))
    while is_free(_CLOSEST).any():
        choose(int(np.where(is_free(_CLOSEST), preference, -1).argmax()))
    return chosen


def _join_components(points: np.ndarray, ground: Ground) -> np.ndarray:
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
        beside = np.linalg.norm(points - points[i], axis=1) < _CROWDED
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
    walkable = floor.clearance > _PATH_CLEARANCE
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
    steps, here, reach = [], 0, 0.8 * LONGEST_EDGE
    while here < len(walk) - 1:
        ahead = np.arange(here + 1, len(walk))
        ahead = ahead[np.linalg.norm(walk[ahead] - walk[here], axis=1) <= reach]
        seen = ground.sees(np.repeat(walk[None, here], len(ahead), axis=0), walk[ahead])
        clear = [ground.floor.along(walk[here], walk[k]) >= _WALKING_CLEARANCE for k in ahead]
        reachable = ahead[seen & np.array(clear, bool)]
        if not len(reachable):
            return np.zeros((0, 2))
        here = int(reachable[-1])
        steps.append(walk[here])
    return np.array(steps[:-1]).reshape(-1, 2)


def place_viewpoints(house: House, tracer: RayTracer) -> list[dict[str, Any]]:
    """Place the viewpoints of a house and connect them."""
    from scipy.sparse.csgraph import connected_components

    eyes, edges = _join_storeys(house, tracer)
    unobstructed = without_shortcuts(eyes, edges)
    rooms = np.array([house.plan.room_at(*eye) for eye in eyes])
    kept = _without_dead_ends(unobstructed, rooms)
    eyes, unobstructed = eyes[kept], unobstructed[np.ix_(kept, kept)]
    visible = visibility(eyes, tracer)
    _, labels = connected_components(unobstructed)
    included = labels == np.bincount(labels).argmax()
    unreached = [
        room.kind
        for room in house.plan.rooms
        if room.index not in rooms[kept][included] and room.kind != STAIRWELL
    ]
    if unreached:
        raise UserError(
            f"{house.spec.scan}: no viewpoint reaches {', '.join(unreached)} (furniture blocks the "
            f"way); replace its plan seed {house.spec.plan_seed} in sets.py"
        )
    return [
        {
            "image_id": _image_id(house, (x, y, z)),
            "pose": [1, 0, 0, float(x), 0, 1, 0, float(y), 0, 0, 1, float(z), 0, 0, 0, 1],
            "included": bool(included[i]),
            "visible": visible[i].tolist(),
            "unobstructed": unobstructed[i].tolist(),
            "height": EYE_HEIGHT,
        }
        for i, (x, y, z) in enumerate(eyes)
    ]


def _without_dead_ends(edges: np.ndarray, rooms: np.ndarray) -> np.ndarray:
    """Return a mask (N,) bool without the dead ends beside a junction in the same room."""
    kept = np.ones(len(edges), bool)
    degrees = edges.sum(axis=1)
    for i in np.flatnonzero(degrees == 1):
        beside = int(edges[i].argmax())
        if rooms[i] == rooms[beside] and degrees[beside] > 2:
            kept[i] = False
            degrees[beside] -= 1
    return kept


def _join_storeys(house: House, tracer: RayTracer) -> tuple[np.ndarray, np.ndarray]:
    """Return cameras (N, 3) and edges (N, N) of all storeys, from the lowest, then of stairs."""
    plan = house.plan
    eyes, blocks, grounds = [], [], []
    for storey in range(plan.storeys):
        ground = Ground(clearance_map(house, tracer, storey), tracer)
        points = _choose_points(plan, ground.floor, storey, house.spec.plan_seed)
        points = thin(_join_components(points, ground), ground)
        eyes.append(ground.eyes(points))
        blocks.append(ground.edges(points))
        grounds.append(ground)
    for flights in plan.stairs:
        steps = np.round(np.array(flights.stops) + np.array([0.0, 0.0, EYE_HEIGHT]), 3)
        eyes.append(steps)
        blocks.append(np.eye(len(steps), k=1, dtype=bool) | np.eye(len(steps), k=-1, dtype=bool))
    together = np.concatenate(eyes)
    starts = np.cumsum([0] + [len(part) for part in eyes])
    parts = [slice(a, b) for a, b in pairwise(starts.tolist())]
    edges = np.zeros((len(together), len(together)), bool)
    for part, block in zip(parts, blocks, strict=True):
        edges[part, part] = block
    for flights, steps in zip(plan.stairs, parts[plan.storeys :], strict=True):
        for upper, end in ((False, steps.start), (True, steps.stop - 1)):
            storey = flights.storey + upper
            part = parts[storey]
            joined = _joins_stairs(flights, upper, together[part], together[end], grounds[storey])
            edges[part, end] = edges[end, part] = joined
    return together, edges


def _joins_stairs(
    stairs: Stairs, upper: bool, eyes: np.ndarray, step: np.ndarray, ground: Ground
) -> np.ndarray:
    """Return which cameras (N, 3) of a storey have an edge to a camera on a flight: (N,) bool.

    The straight line must be free up to the stairs and stay inside its flight from there.
    """
    gate = np.array(stairs.end(upper, _AT_FRONT)[:2])
    forward, side = np.array(stairs.forward), np.array(stairs.point(1.0, 0.0)) - stairs.front
    middle = stairs.first_side * stairs.flight_middle * (-1 if upper else 1)
    near = np.linalg.norm(eyes - step, axis=1) <= LONGEST_EDGE
    joined = near & see_each_other(eyes, np.broadcast_to(step, eyes.shape), ground.tracer)
    for i in np.flatnonzero(joined):
        start, way = eyes[i, :2] - stairs.front, step[:2] - eyes[i, :2]
        before = -float(start @ forward)
        if before <= 0:
            joined[i] = False
            continue
        # Distance from the flight's middle line where the line crosses the front of the stairs.
        crossing = float((start + before / float(way @ forward) * way) @ side) - middle
        is_inside = abs(crossing) <= stairs.flight_width / 2 - _STAIR_MARGIN
        at_front = gate + crossing * side
        clear = ground.floor.along(eyes[i, :2], at_front) >= _WALKING_CLEARANCE
        joined[i] = is_inside and clear
    return joined


def _image_id(house: House, eye: tuple[float, float, float]) -> str:
    """Return a digest of the house's name and the position, with the height above ground level."""
    x, y, z = eye
    above = f",{z:.3f}" if z > EYE_HEIGHT else ""
    return hashlib.md5(f"{house.spec.scan}:{x:.3f},{y:.3f}{above}".encode()).hexdigest()
