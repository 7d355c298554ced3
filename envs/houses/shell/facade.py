"""Outer faces of the walls and the ground around a house, as visible from its windows.

Only houses with a recess need them: no outer wall is visible from a rectangular house.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.meshes.geometry import Material, Part, transform
from clipnav.envs.houses.meshes.mesh import lattice
from clipnav.envs.houses.plan.elements import STOREY_HEIGHT, WALL_HALF_THICKNESS, Room
from clipnav.envs.houses.plan.wall_openings import outer_walls
from clipnav.envs.houses.shell.fixture import GARDEN_RADIUS, OUTSIDE, Fixture
from clipnav.envs.houses.shell.walls import OVERLAP, Detail, Side, wall_face

if TYPE_CHECKING:
    from clipnav.envs.houses.materials.style import Style
    from clipnav.envs.houses.plan.floor_plan import FloorPlan

_FACADE_TAG = 32
_RENDERS = ((0.93, 0.90, 0.84), (0.90, 0.82, 0.70), (0.84, 0.86, 0.88), (0.95, 0.94, 0.92))
_SHADE = 0.86  # brightness of faces that face away from the sun; they have no other lighting
_GRASS = (0.42, 0.55, 0.28)
_GROUND = -0.08  # height of the garden in metres, below the floor
_DETAIL = Detail(wall_cell=3.0)  # coarse, because no light is baked here


def build_facade(plan: FloorPlan, style: Style) -> Fixture:
    """Build outer walls of brick or plaster and a lawn, as part of the unlit garden."""
    rng = np.random.default_rng([style.seed, _FACADE_TAG])
    surface = Material("plaster", _RENDERS[int(rng.integers(len(_RENDERS)))])
    if rng.random() < 0.5:
        surface = Material("brick")
    parts = [part for room in plan.rooms for part in _faces(plan, room, surface)]
    return Fixture(OUTSIDE, -1, (*parts, _lawn(plan)))


def _faces(plan: FloorPlan, room: Room, surface: Material) -> Iterator[Part]:
    """Yield the outer wall faces of one room, as high as its storey, with holes for openings."""
    openings = list(plan.openings_of(room.index))
    for wall in outer_walls(room, plan.rooms, shortest=0.01):
        middle = room.centre[1 if wall.axis == "x" else 0]
        facing = 1 if wall.position > middle else -1
        # Extend by nearly half a wall: around the corner, or into the adjacent wall.
        reach = WALL_HALF_THICKNESS - OVERLAP - 0.002
        side = Side(wall.axis, wall.position, facing, wall.start - reach, wall.end + reach)
        shade = _SHADE if facing < 0 else 1.0
        red, green, blue = (shade * channel for channel in surface.tint)
        material = Material(surface.texture, (red, green, blue))
        face = wall_face(side, openings, material, STOREY_HEIGHT, _DETAIL)
        yield transform([face], offset=(0.0, 0.0, room.floor))[0]


def _lawn(plan: FloorPlan) -> Part:
    """Build a disc of grass, facing upwards, that extends to the surrounding backdrop."""
    turn = np.linspace(0, 2 * np.pi, 25)[:, None]
    radius = np.array([0.0, GARDEN_RADIUS])[None, :]
    x, y = plan.width / 2 + radius * np.sin(turn), plan.depth / 2 + radius * np.cos(turn)
    points = np.stack([x, y, np.full_like(x, _GROUND)], axis=-1)
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), points.shape)
    return lattice(points, up, points[..., :2], Material("carpet", _GRASS))
