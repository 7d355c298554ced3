"""Choice of viewpoints on one storey: beside passages first, then at open positions."""

from __future__ import annotations

import numpy as np

from clipnav.envs.houses.graph.clearance import ClearanceMap
from clipnav.envs.houses.graph.ground import PATH_CLEARANCE, GraphRule
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.plan.floor_plan import FloorPlan

STANDING_CLEARANCE = 0.25  # metres around a viewpoint
DOORSTEP = 0.85  # metres from the middle of a passage to the viewpoint beside it
STAIR_STEP = 0.7  # metres from the front of stairs to the viewpoint in front of them
VIEWPOINT_TAG = 11


def choose_points(
    plan: FloorPlan, floor: ClearanceMap, rule: GraphRule, storey: int, seed: int
) -> np.ndarray:
    """Choose the viewpoints of a storey.

    Positions in front of stairs and on both sides of every passage have priority. Open positions
    follow, at a spacing that limits the number of viewpoints and thus of panoramas to encode.

    Returns:
        (N, 2) metres, rounded to millimetres.
    """
    from scipy import ndimage

    labels = np.zeros(floor.clearance.shape, int)
    ndimage.label(floor.clearance > PATH_CLEARANCE, output=labels)
    main = np.bincount(labels[labels > 0]).argmax()
    standing = (labels == main) & (floor.clearance > STANDING_CLEARANCE)
    spots, clearance = floor.centres()[standing], floor.clearance[standing]
    rooms = np.array([plan.room_at(x, y, floor.floor) for x, y in spots])
    rng = np.random.default_rng([seed, VIEWPOINT_TAG] + [storey] * (storey > 0))
    # Clearance above 0.8 m adds no preference, and noise breaks up the rows that straight walls
    # would give.
    preference = np.minimum(clearance, 0.8) + rng.uniform(0, 0.15, len(spots))
    wanted = _stair_steps(plan, storey) + _doorsteps(plan, storey)
    doorsteps = [spot for want in wanted for spot in _nearest(plan, floor, want, spots, rooms)]
    chosen: list[int] = []
    for spacing in np.arange(rule.closest, rule.closest + 1.3, 0.1):
        chosen = _fill(spots, rooms, preference, doorsteps, spacing)
        if len(chosen) <= rule.most_viewpoints:
            break
    return np.round(spots[chosen], 3)


def _stair_steps(plan: FloorPlan, storey: int) -> list[np.ndarray]:
    """Return points (2,) in front of the foot and the head of stairs."""
    return [
        np.array(flight.end(upper, STAIR_STEP)[:2])
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
        doorsteps += [opening.centre + side * DOORSTEP * normal for side in (-1, 1)]
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
    spacing: float,
) -> list[int]:
    """Pick spots greedily: doorsteps, one in every room, then by preference, `spacing` m apart.

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
        if is_free(min(0.8 * spacing, 1.4))[spot]:
            choose(spot)
    for room in np.unique(rooms[rooms >= 0]):
        if room not in rooms[chosen]:
            choose(int(np.where(rooms == room, preference, -1).argmax()))
    while is_free(spacing).any():
        choose(int(np.where(is_free(spacing), preference, -1).argmax()))
    return chosen
