"""Floors of built-in houses and of plans of rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from clipnav.envs.continuous.floor.grid import (
    CELL,
    SAMPLES_PER_CELL,
    SPACING,
    FloorGrid,
    grid_of_masks,
)
from clipnav.envs.continuous.floor.neighbours import CellGraph, cell_graph
from clipnav.envs.continuous.floor.ramps import Ramp
from clipnav.envs.houses.graph.clearance import clearance_map
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House

Box = tuple[float, float, float, float]


def grid_of_house(house: House, radius: float) -> FloorGrid:
    """Build the floor of a house from its clearance maps and stairs."""
    tracer = RayTracer(house.scene)
    plan, ramps = house.plan, tuple(map(Ramp, house.plan.stairs))
    if len(ramps) > 1:
        raise UserError(f"{house.spec.scan}: a floor has at most two storeys")
    masks, heights = [], []
    for storey in range(plan.storeys):
        clearance = clearance_map(house, tracer, storey)
        mask = clearance.clearance > 0
        for ramp in ramps:
            if ramp.joins(storey):
                mask = ramp.free(clearance.centres(), mask, storey)
        masks.append(mask)
        heights.append(clearance.floor)
    return grid_of_masks(masks, np.zeros(2), heights, radius, ramps)


def grid_of_boxes(
    rooms: Sequence[Box], holes: Sequence[Box], height: float, radius: float
) -> FloorGrid:
    """Build a floor of one storey that consists of rectangles without some others.

    Args:
        rooms: Rectangles (x0, y0, x1, y1) in metres, best at multiples of `CELL`.
        height: Height of the floor in metres.
        radius: Radius of the agent in metres.
    """
    corners = np.asarray(rooms, float)
    lower = CELL * np.floor(corners[:, :2].min(axis=0) / CELL + 1e-6)
    shape = np.ceil((corners[:, 2:].max(axis=0) - lower) / CELL - 1e-6).astype(int)
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    centres = lower + CELL * (indices + 0.5)
    free = np.zeros(tuple(shape), bool)
    for boxes, value in ((rooms, True), (holes, False)):
        for x0, y0, x1, y1 in boxes:
            inside = (centres >= (x0, y0)) & (centres <= (x1, y1))
            free[inside.all(axis=-1)] = value
    return grid_of_masks([free], lower, [height], radius)


def largest_piece(grid: FloorGrid, graph: CellGraph) -> tuple[FloorGrid, CellGraph]:
    """Return a floor and its graph without the pieces that are not joined to the largest one.

    Gaps between obstacles that are too narrow for a cell are blocked, too.
    """
    if not len(graph.positions):
        raise UserError("the floor has no room for the agent; choose a smaller agent_radius")
    _, labels = connected_components(graph.lengths, directed=False)
    kept = labels == np.bincount(labels).argmax()
    near = [ndimage.binary_dilation(layer, np.ones((3, 3))) for layer in graph.kept_cells(kept)]
    near = np.stack(near).repeat(SAMPLES_PER_CELL, axis=1).repeat(SAMPLES_PER_CELL, axis=2)
    distance = np.where(near, grid.distance, np.minimum(grid.distance, -SPACING / 2))
    grid = replace(grid, distance=distance)
    return grid, graph if kept.all() else cell_graph(grid)
