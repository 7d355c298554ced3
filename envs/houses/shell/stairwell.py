"""Stairs of a house as solids: steps, landing, rails and balusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.furniture.item import wood_surface
from clipnav.envs.houses.materials.colours import colour_name
from clipnav.envs.houses.meshes.geometry import Material, Part, box, tube
from clipnav.envs.houses.plan.elements import (
    FLIGHT_GAP,
    RISERS,
    STOREY_HEIGHT,
    TREAD,
    WALL_HALF_THICKNESS,
    Opening,
    Stairs,
)
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.houses.shell.walls import wall_block

if TYPE_CHECKING:
    from clipnav.envs.houses.materials.style import Style

RAIL_HEIGHT = 0.92  # metres above a tread's edge or a floor
_STEPS = RISERS // 2 - 1  # treads of a flight, without the landing or the floor above
_PLANK = 0.03  # thickness of a tread
_NOSING = 0.02  # overhang of a tread over the one below
_RAIL = 0.024  # radius of a hand rail
_BALUSTER = 0.03
_BALUSTER_GAP = 0.13
_SUNK = 0.01  # overlap of solids with walls and floors


def build_stairs(stairs: Stairs, style: Style) -> list[Fixture]:
    """Build steps and landing as one object and rails as another, both in the lower room."""
    wood = wood_surface(style.woods[0])
    steps = [*_flight(stairs, wood, style.trim, upper=False)]
    steps += _flight(stairs, wood, style.trim, upper=True)
    steps += _landing(stairs, wood, style.trim)
    rails = [*_balustrade(stairs, wood, style.trim), _wall_rail(stairs, wood)]
    lower = stairs.rooms[0]
    return [
        Fixture("stairs", lower, tuple(steps), colour_name(wood.tint), "wooden"),
        Fixture("railing", lower, tuple(rails), colour_name(wood.tint), "wooden"),
    ]


def railing(opening: Opening, style: Style) -> Fixture:
    """Build rail and balusters of an opening beside the head of stairs, on a floor at height 0."""
    wood = wood_surface(style.woods[0])
    o, middle = opening, (opening.position, 0.05)
    count = int(np.ceil(o.width / _BALUSTER_GAP))
    parts = [
        wall_block(o.axis, (o.start, o.end), middle, (RAIL_HEIGHT - 0.05, RAIL_HEIGHT), wood),
        wall_block(o.axis, (o.start, o.end), middle, (0.05, 0.09), style.trim),
    ]
    for k in range(1, count):
        at = o.start + k * o.width / count
        run = (at - _BALUSTER / 2, at + _BALUSTER / 2)
        up = (0.08, RAIL_HEIGHT - 0.04)
        parts.append(wall_block(o.axis, run, (o.position, _BALUSTER), up, style.trim))
    return Fixture("railing", o.rooms[0], tuple(parts), colour_name(wood.tint), "wooden")


def _block(
    stairs: Stairs,
    across: tuple[float, float],
    along: tuple[float, float],
    up: tuple[float, float],
    material: Material,
) -> Part:
    """Build a box between limits in the frame of the stairs; `up` counts from the lower floor."""
    a, b = np.array([stairs.point(x, y) for x, y in zip(across, along, strict=True)])
    floor = stairs.storey * STOREY_HEIGHT
    size = (*np.abs(b - a), up[1] - up[0])
    middle = (*(a + b) / 2, floor + (up[0] + up[1]) / 2)
    return box(size, material, center=middle, cell=0.55)


def _flight(stairs: Stairs, wood: Material, paint: Material, upper: bool) -> Iterator[Part]:
    """Yield the steps of a flight: solids down to the lower floor, each with a plank on top."""
    side = stairs.first_side * (-1 if upper else 1)
    inner = side * (-FLIGHT_GAP if upper else FLIGHT_GAP) / 2
    across = (inner, side * (stairs.width / 2 - WALL_HALF_THICKNESS + _SUNK))
    for k in range(_STEPS):
        if upper:
            far = stairs.landing_start - k * TREAD
            height, edge, back = (RISERS // 2 + 1 + k) * stairs.rise, far + _NOSING, far - TREAD
        else:
            near = WALL_HALF_THICKNESS + k * TREAD
            height, edge, back = (1 + k) * stairs.rise, near - _NOSING, near + TREAD
        start = edge - _NOSING if upper else edge + _NOSING
        end = back - _SUNK if upper and k == _STEPS - 1 else back
        yield _block(stairs, across, (start, end), (-_SUNK, height - _PLANK), paint)
        yield _block(stairs, across, (edge, end), (height - _PLANK, height), wood)


def _landing(stairs: Stairs, wood: Material, paint: Material) -> Iterator[Part]:
    half = stairs.width / 2 - WALL_HALF_THICKNESS + _SUNK
    back, height = stairs.depth - WALL_HALF_THICKNESS + _SUNK, STOREY_HEIGHT / 2
    start = stairs.landing_start
    yield _block(stairs, (-half, half), (start, back), (-_SUNK, height - _PLANK), paint)
    yield _block(stairs, (-half, half), (start - _NOSING, back), (height - _PLANK, height), wood)


def _balustrade(stairs: Stairs, wood: Material, paint: Material) -> Iterator[Part]:
    """Yield balusters and a sloping rail along the open side of the second flight."""
    low, slope, half = STOREY_HEIGHT / 2, stairs.rise / TREAD, _BALUSTER / 2
    start = stairs.landing_start

    def rail_height(along: float) -> float:
        return low + RAIL_HEIGHT + slope * (start - along) + stairs.rise / 2

    for k in range(_STEPS):
        for share in (0.25, 0.75):
            along = start - (k + share) * TREAD
            foot = (RISERS // 2 + 1 + k) * stairs.rise - _SUNK
            up = (foot, rail_height(along))
            yield _block(stairs, (-half, half), (along - half, along + half), up, paint)
    post = (start - 0.04, start + 0.04)
    yield _block(stairs, (-0.04, 0.04), post, (low - _SUNK, low + RAIL_HEIGHT + 0.2), wood)
    floor = stairs.storey * STOREY_HEIGHT
    ends = (start, WALL_HALF_THICKNESS - _SUNK)
    path = [(*stairs.point(0.0, y), floor + rail_height(y)) for y in np.linspace(*ends, 3)]
    yield tube(path, _RAIL, wood, sides=8)


def _wall_rail(stairs: Stairs, wood: Material) -> Part:
    """Build a rail at the wall beside the first flight."""
    across = stairs.first_side * (stairs.width / 2 - WALL_HALF_THICKNESS - 0.06)
    floor, slope = stairs.storey * STOREY_HEIGHT, stairs.rise / TREAD
    ends = (WALL_HALF_THICKNESS + 0.1, stairs.landing_start)
    path = [
        (*stairs.point(across, y), floor + RAIL_HEIGHT + stairs.rise + slope * (y - ends[0]))
        for y in np.linspace(*ends, 3)
    ]
    return tube(path, _RAIL * 0.8, wood, sides=8)
