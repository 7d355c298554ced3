"""Content of the page's map: the graph of a building, its storeys and, for a house, its plan."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.plan.elements import Opening, Room
from clipnav.envs.houses.plan.floor_plan import FloorPlan
from clipnav.envs.worlds import World, is_built_in

_BIN = 0.25  # bin width of floor heights in metres
_MIN_HEIGHT = 2.0  # minimum height of a storey in metres
_MIN_SHARE = 0.08  # minimum share of the viewpoints that a storey contains
Json = dict[str, Any]
_ROOM = ("kind", "x0", "y0", "x1", "y1", "storey")
_OPENING = ("kind", "axis", "position", "start", "end", "storey")


def storeys(floors: np.ndarray) -> np.ndarray:
    """Assign a storey to each viewpoint.

    Storeys are floor heights of many viewpoints; viewpoints on stairs and split levels belong to
    the nearest storey.

    Args:
        floors: (N,) heights of the floor in metres.

    Returns:
        (N,) storey from 0, the lowest.
    """
    low = floors.min()
    bins = np.rint((floors - low) / _BIN).astype(int)
    # The sum over three bins counts floors whose heights fall into two bins.
    counts = np.convolve(np.bincount(bins), [1, 1, 1], mode="same")
    levels: list[float] = []
    for candidate in np.argsort(-counts, kind="stable"):
        if counts[candidate] < max(1, _MIN_SHARE * len(floors)) and levels:
            break
        height = low + candidate * _BIN
        if all(abs(height - level) >= _MIN_HEIGHT for level in levels):
            levels.append(height)
    ordered = np.sort(np.array(levels))
    return np.abs(floors[:, None] - ordered).argmin(1)


def scene(graph: NavGraph, world: World) -> Json:
    """Describe a building, ready for JSON; lengths in metres."""
    plan = house_plan(graph.scan) if is_built_in(world) else None
    floors = graph.positions[:, 2] - graph.heights
    if plan is None:
        levels = storeys(floors)
    else:
        levels = np.array([plan.storey_at(floor + 0.1) for floor in floors.tolist()])
    positions = np.column_stack([graph.positions[:, :2], floors]).round(3).tolist()
    names = graph.viewpoint_ids
    return {
        "scan": graph.scan,
        "viewpoints": {
            name: [*position, int(level)]
            for name, position, level in zip(names, positions, levels, strict=True)
        },
        "edges": [[names[i], names[j]] for i, j in np.argwhere(np.triu(graph.adjacency))],
        "storeys": int(levels.max()) + 1 if plan is None else plan.storeys,
        "plan": plan_content(plan),
    }


def plan_content(plan: FloorPlan | None) -> Json | None:
    """Return rooms and openings of a plan, ready for JSON; lengths in metres."""
    if plan is None:
        return None
    return {
        "rooms": [_fields(room, _ROOM) for room in plan.rooms],
        "openings": [_fields(opening, _OPENING) for opening in plan.openings],
    }


def _fields(part: Room | Opening, names: Iterable[str]) -> Json:
    return {name: getattr(part, name) for name in names}


def house_plan(scan: str) -> FloorPlan | None:
    """Return the plan of a built-in house; None for other buildings."""
    from clipnav.envs.houses.building.house import plan_of
    from clipnav.envs.houses.building.sets import HOUSE_SETS

    specs = [one.specs[scan] for one in HOUSE_SETS.values() if scan in one.specs]
    return plan_of(specs[0]) if specs else None
