"""Navigation graph of a house: its viewpoints and edges.

The graph has the format of the Matterport3D Simulator (see `connectivity`). As there, an edge means
that the straight line between two viewpoints is visible and walkable, on a floor or along stairs.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.envs.houses.graph.clearance import clearance_map
from clipnav.envs.houses.graph.ground import (
    WALKING_CLEARANCE,
    GraphRule,
    Ground,
    see_each_other,
    visibility,
)
from clipnav.envs.houses.graph.repair import join_components, thin
from clipnav.envs.houses.graph.standing_points import choose_points
from clipnav.envs.houses.plan.elements import EYE_HEIGHT, STAIRWELL, Stairs
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.panoramas.ray_tracer import RayTracer

LONGEST_EDGE = 4.5  # metres
# Few viewpoints, which are cheap to render and to encode.
SPARSE = GraphRule(most_viewpoints=30, closest=1.3, longest_edge=LONGEST_EDGE)
# As in Matterport3D (see `graph.statistics`): edges of about 2.2 m, about four per viewpoint.
DENSE = GraphRule(most_viewpoints=90, closest=1.4, longest_edge=4.3)
_AT_FRONT = 0.2  # metres in front of the stairs up to which clearance is checked
_STAIR_MARGIN = 0.12  # minimum distance in metres of a walk on stairs from rail and wall


def place_viewpoints(house: House, tracer: RayTracer) -> list[dict[str, Any]]:
    """Place the viewpoints of a house and connect them."""
    rule = DENSE if house.spec.dense_graph else SPARSE
    eyes, unobstructed = _join_storeys(house, tracer, rule)
    visible = visibility(eyes, tracer)
    included = _largest_component(unobstructed)
    _check_rooms(house, eyes[included])
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


def _join_storeys(
    house: House, tracer: RayTracer, rule: GraphRule
) -> tuple[np.ndarray, np.ndarray]:
    """Return cameras (N, 3) and edges (N, N) of all storeys, from the lowest, then of landings."""
    plan = house.plan
    eyes, blocks, grounds = [], [], []
    for storey in range(plan.storeys):
        ground = Ground(clearance_map(house, tracer, storey), tracer, rule)
        points = choose_points(plan, ground.floor, rule, storey, house.spec.plan_seed)
        points = thin(join_components(points, ground), ground)
        eyes.append(ground.eyes(points))
        blocks.append(ground.edges(points))
        grounds.append(ground)
    landings = np.array([flight.landing for flight in plan.stairs]).reshape(-1, 3)
    eyes.append(np.round(landings + np.array([0.0, 0.0, EYE_HEIGHT]), 3))
    together = np.concatenate(eyes)
    edges = np.zeros((len(together), len(together)), bool)
    starts = np.cumsum([0] + [len(part) for part in eyes])
    for start, block in zip(starts, blocks, strict=False):
        edges[start : start + len(block), start : start + len(block)] = block
    for k, flight in enumerate(plan.stairs):
        landing = int(starts[-2]) + k
        for upper in (False, True):
            storey = flight.storey + upper
            part = slice(starts[storey], starts[storey + 1])
            joined = _joins_landing(
                flight, upper, together[part], together[landing], grounds[storey]
            )
            edges[part, landing] = edges[landing, part] = joined
    return together, edges


def _joins_landing(
    stairs: Stairs, upper: bool, eyes: np.ndarray, landing: np.ndarray, ground: Ground
) -> np.ndarray:
    """Return which cameras (N, 3) of a storey have an edge to a landing: (N,) bool.

    The straight line must be free up to the stairs and stay inside its flight from there.
    """
    gate = np.array(stairs.end(upper, _AT_FRONT)[:2])
    forward, side = np.array(stairs.forward), np.array(stairs.point(1.0, 0.0)) - stairs.front
    middle = stairs.first_side * stairs.flight_middle * (-1 if upper else 1)
    near = np.linalg.norm(eyes - landing, axis=1) <= ground.rule.longest_edge
    joined = near & see_each_other(eyes, np.broadcast_to(landing, eyes.shape), ground.tracer)
    for i in np.flatnonzero(joined):
        start, way = eyes[i, :2] - stairs.front, landing[:2] - eyes[i, :2]
        before = -float(start @ forward)
        if before <= 0:
            joined[i] = False
            continue
        # Distance from the flight's middle line where the line crosses the front of the stairs.
        crossing = float((start + before / float(way @ forward) * way) @ side) - middle
        is_inside = abs(crossing) <= stairs.flight_width / 2 - _STAIR_MARGIN
        at_front = gate + crossing * side
        clear = ground.floor.along(eyes[i, :2], at_front) >= WALKING_CLEARANCE
        joined[i] = is_inside and clear
    return joined


def _check_rooms(house: House, eyes: np.ndarray) -> None:
    """Raise a ValueError if a room other than a stairwell has no viewpoint."""
    rooms = {house.plan.room_at(*eye) for eye in eyes}
    unreached = [
        room.kind for room in house.plan.rooms if room.index not in rooms and room.kind != STAIRWELL
    ]
    if unreached:
        raise UserError(
            f"{house.spec.scan}: no viewpoint reaches {', '.join(unreached)} (furniture blocks the "
            f"way); replace its plan seed {house.spec.plan_seed} in sets.py"
        )


def _image_id(house: House, eye: tuple[float, float, float]) -> str:
    """Return a digest of the house's name and the position, with the height above ground level."""
    x, y, z = eye
    above = f",{z:.3f}" if z > EYE_HEIGHT else ""
    return hashlib.md5(f"{house.spec.scan}:{x:.3f},{y:.3f}{above}".encode()).hexdigest()


def _largest_component(edges: np.ndarray) -> np.ndarray:
    """Return a mask (N,) bool of the largest connected component of edges (N, N)."""
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(edges)
    return labels == np.bincount(labels).argmax()
