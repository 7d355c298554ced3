"""Free floor of a house and its clearance, the distance to the nearest obstacle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.plan.elements import STAIRWELL, STOREY_HEIGHT
from clipnav.envs.houses.plan.floor_plan import WALL_HALF_THICKNESS, FloorPlan

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.panoramas.ray_tracer import RayTracer

CELL = 0.05  # metres
_STEP_HEIGHT = 0.08  # metres; lower objects are no obstacles (rugs, thresholds)
_PROBE_HEIGHT = 1.7  # metres; below the head of a door, above most obstacles
# Categories that are no obstacles or that the floor plan covers.
_STRUCTURE = frozenset(
    (
        "archway, ceiling, ceiling light, curtain, door frame, floor, outside, picture, railing, "
        "skirting, stairs, wall, window"
    ).split(", ")
)


@dataclass(frozen=True, eq=False)
class ClearanceMap:
    """Clearance of the floor in cells of `CELL` metres; cell (0, 0) has its corner at the origin.

    Attributes:
        clearance: (X, Y) metres from the cell's centre to the nearest obstacle, 0 inside obstacles.
        floor: Height of this storey's floor in metres.
    """

    clearance: np.ndarray
    floor: float = 0.0

    def cells(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices (N,), (N,) of the cells that contain points (N, 2) in metres."""
        cells = (np.asarray(points) / CELL).astype(int)
        cells = np.clip(cells, 0, np.array(self.clearance.shape) - 1)
        return cells[:, 0], cells[:, 1]

    def at(self, points: np.ndarray) -> np.ndarray:
        """Return the clearance (N,) in metres at points (N, 2) in metres."""
        return self.clearance[self.cells(points)]

    def along(self, start: np.ndarray, end: np.ndarray) -> float:
        """Return the minimum clearance in metres on the straight line between two points (2,)."""
        if tuple(start) > tuple(end):  # so that both directions round to the same value
            start, end = end, start
        steps = int(np.linalg.norm(end - start) / (0.8 * CELL)) + 2
        return float(self.at(np.linspace(start, end, steps)).min())

    def centres(self) -> np.ndarray:
        """Return the centres (X, Y, 2) of the cells in metres."""
        axes = (CELL * (np.arange(size) + 0.5) for size in self.clearance.shape)
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def clearance_map(house: House, tracer: RayTracer, storey: int = 0) -> ClearanceMap:
    """Measure the free floor of a storey, without stairs, with vertical rays.

    A cell is free if its ray ends low enough. Rays that start inside a wall, in a tall piece of
    furniture or beside a thin door leaf are not reliable: walls are taken from the floor plan, and
    tall objects from their boxes.
    """
    from scipy import ndimage

    plan, floor = house.plan, storey * STOREY_HEIGHT
    probe = floor + _PROBE_HEIGHT
    shape = (int(np.ceil(plan.width / CELL)), int(np.ceil(plan.depth / CELL)))
    grid = ClearanceMap(np.zeros(shape)).centres()
    origins = np.concatenate([grid, np.full((*shape, 1), probe)], axis=-1).reshape(-1, 3)
    hits = tracer.trace(origins, np.tile([0.0, 0.0, -1.0], (len(origins), 1)))
    free = (hits.distance > _PROBE_HEIGHT - _STEP_HEIGHT).reshape(shape)
    free &= _walkable_by_plan(plan, grid, storey)
    for thing in house.scene.objects:
        stands_tall = thing.lower[2] < probe < thing.upper[2]
        if stands_tall and thing.category not in _STRUCTURE:
            lower = np.array(thing.lower)[:2] - CELL / 2
            upper = np.array(thing.upper)[:2] + CELL / 2
            free &= ~((grid >= lower) & (grid <= upper)).all(axis=-1)
    padded = np.pad(free, 1)  # there is no floor outside the outline
    clearance = CELL * np.asarray(ndimage.distance_transform_edt(padded))
    return ClearanceMap(clearance[1:-1, 1:-1], floor)


def _walkable_by_plan(plan: FloorPlan, grid: np.ndarray, storey: int) -> np.ndarray:
    """Return a mask (X, Y) bool of the cells (X, Y, 2) inside rooms or passages."""
    walkable = np.zeros(grid.shape[:2], bool)
    for room in plan.rooms:
        if room.storey != storey or room.kind == STAIRWELL:
            continue
        lower = np.array([room.x0, room.y0]) + WALL_HALF_THICKNESS
        upper = np.array([room.x1, room.y1]) - WALL_HALF_THICKNESS
        walkable |= ((grid >= lower) & (grid <= upper)).all(axis=-1)
    for opening in plan.openings:
        if opening.is_passage and opening.storey == storey:
            along, across = (0, 1) if opening.axis == "x" else (1, 0)
            walkable |= (
                (grid[..., along] >= opening.start)
                & (grid[..., along] <= opening.end)
                & (np.abs(grid[..., across] - opening.position) <= WALL_HALF_THICKNESS + CELL)
            )
    return walkable
