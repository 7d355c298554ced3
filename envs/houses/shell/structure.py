"""Fixed parts of a house: floors, ceilings, walls, skirting, frames and the garden.

Only houses with a recess have outer faces and ground: from a rectangular one, none is visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.furniture import make_item
from clipnav.envs.houses.materials.colours import colour_name
from clipnav.envs.houses.meshes.geometry import Material, Part, transform
from clipnav.envs.houses.meshes.mesh import lattice
from clipnav.envs.houses.plan.elements import (
    STAIRWELL,
    STOREY_HEIGHT,
    WALL_HALF_THICKNESS,
    WALL_HEIGHT,
    Opening,
    Room,
)
from clipnav.envs.houses.plan.wall_openings import outer_walls
from clipnav.envs.houses.shell.fixture import GARDEN_RADIUS, OUTSIDE, Fixture, FloorLayer
from clipnav.envs.houses.shell.stairwell import build_stairs, railing
from clipnav.envs.houses.shell.walls import (
    CEILING_CELL,
    OVERLAP,
    Side,
    grid_lines,
    sides_of,
    wall_block,
    wall_face,
)

if TYPE_CHECKING:
    from clipnav.envs.houses.materials.style import Style
    from clipnav.envs.houses.plan.floor_plan import FloorPlan


_FACADE_TAG = 32
_RENDERS = ((0.93, 0.90, 0.84), (0.90, 0.82, 0.70), (0.84, 0.86, 0.88), (0.95, 0.94, 0.92))
_SHADE = 0.86  # brightness of faces that face away from the sun; they have no other lighting
_GRASS = (0.42, 0.55, 0.28)
_GROUND = -0.08  # height of the garden in metres, below the floor
_CELL = 3.0  # metres; coarse, because no light is baked here


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
        face = wall_face(side, openings, material, STOREY_HEIGHT, _CELL)
        yield transform([face], offset=(0.0, 0.0, room.floor))[0]


def _lawn(plan: FloorPlan) -> Part:
    """Build a disc of grass, facing upwards, that extends to the surrounding backdrop."""
    turn = np.linspace(0, 2 * np.pi, 25)[:, None]
    radius = np.array([0.0, GARDEN_RADIUS])[None, :]
    x, y = plan.width / 2 + radius * np.sin(turn), plan.depth / 2 + radius * np.cos(turn)
    points = np.stack([x, y, np.full_like(x, _GROUND)], axis=-1)
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), points.shape)
    return lattice(points, up, points[..., :2], Material("carpet", _GRASS))


_FRAME = 0.05  # width of window and door frames
_FRAME_DEPTH = 2 * WALL_HALF_THICKNESS + 0.04
_SKIRTING = (0.012, 0.09)  # thickness, height
_GARDEN_REPEATS = 2  # copies of the garden picture around the house
# Heights in metres and picture rows at these heights; the horizon is at eye height.
_GARDEN_HEIGHTS = (-60.0, -14.0, 18.0, 90.0)
_GARDEN_ROWS = (0.99, 0.98, 0.01, 0.005)


def build_structure(
    plan: FloorPlan,
    style: Style,
    lay_floor: FloorLayer,
) -> list[Fixture]:
    """Build all parts of a house except furniture."""
    fixtures: list[Fixture] = []
    for room in plan.rooms:
        openings = list(plan.openings_of(room.index))
        fixtures += _raised(_room_shell(room, openings, style, lay_floor), room.floor)
    for o in plan.openings:
        fixtures += _raised([_frame(o, style)], o.floor)
    for o in plan.openings:
        if o.kind == "entrance":
            fixtures += _raised([_entrance_door(o, style)], o.floor)
        elif o.kind == "closed door":
            fixtures += _raised(_closed_door(plan, o, style), o.floor)
        elif o.kind == "railing":
            fixtures += _raised([railing(o, style)], o.floor)
    for flight in plan.stairs:
        fixtures += build_stairs(flight, style)
    if not plan.is_rectangular:
        fixtures.append(build_facade(plan, style))
    fixtures.append(_garden(plan))
    return fixtures


def _raised(fixtures: list[Fixture], floor: float) -> list[Fixture]:
    """Return fixtures lifted from the ground to the floor of their storey."""
    if not floor:
        return fixtures
    lift = (0.0, 0.0, floor)
    return [replace(f, parts=tuple(transform(f.parts, offset=lift))) for f in fixtures]


def _room_shell(
    room: Room,
    openings: Sequence[Opening],
    style: Style,
    lay_floor: FloorLayer,
) -> list[Fixture]:
    """Build floor, ceiling, walls and skirting; a stairwell has a floor below, a ceiling above."""
    floor, wall = style.floor(room.kind), style.wall(room.kind)
    is_well = room.kind == STAIRWELL
    is_foot = is_well and room.storey == 0
    height = STOREY_HEIGHT if is_foot else WALL_HEIGHT
    walls = [wall_face(side, openings, wall, height) for side in sides_of(room)]
    shell: list[Fixture] = []
    if not is_well or is_foot:
        shell.append(
            Fixture("floor", room.index, (lay_floor(room, floor),), colour_name(floor.tint))
        )
    if not is_foot:
        ceiling = _ceiling(room, style.ceiling)
        shell.append(Fixture("ceiling", room.index, (ceiling,), colour_name(style.ceiling.tint)))
    shell.append(Fixture("wall", room.index, tuple(walls), colour_name(wall.tint)))
    if not is_well:
        skirting = [p for side in sides_of(room) for p in _skirting(side, openings, style.trim)]
        colour = colour_name(style.trim.tint)
        shell.append(Fixture("skirting", room.index, tuple(skirting), colour))
    return shell


def _ceiling(room: Room, material: Material) -> Part:
    t = WALL_HALF_THICKNESS
    x, y = np.meshgrid(
        grid_lines(room.x0 + t, room.x1 - t, [], CEILING_CELL),
        grid_lines(room.y0 + t, room.y1 - t, [], CEILING_CELL),
        indexing="ij",
    )
    points = np.stack([x, y, np.full_like(x, WALL_HEIGHT)], axis=-1)
    normals = np.broadcast_to(np.array([0.0, 0.0, -1.0]), points.shape)
    return lattice(points, normals, np.stack([x, y], axis=-1), material, flip=True)


def _skirting(side: Side, openings: Sequence[Opening], trim: Material) -> list[Part]:
    thickness, height = _SKIRTING
    doors = sorted((hole.start, hole.end) for hole in side.holes(openings) if hole.bottom == 0)
    edges = [side.start, *(x for door in doors for x in door), side.end]
    across = side.face + side.facing * thickness / 2
    return [
        wall_block(side.axis, (start, end), (across, thickness), (-OVERLAP, height), trim)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start > 0.01
    ]


def _frame(opening: Opening, style: Style) -> Fixture:
    o, half, trim = opening, _FRAME / 2, style.trim

    def bar(run: tuple[float, float], up: tuple[float, float]) -> Part:
        return wall_block(o.axis, run, (o.position, _FRAME_DEPTH), up, trim)

    foot = o.bottom - half if o.bottom > 0 else -OVERLAP
    parts = [
        bar((o.start - half, o.start + half), (foot, o.top + half)),
        bar((o.end - half, o.end + half), (foot, o.top + half)),
        bar((o.start, o.end), (o.top - half, o.top + half)),
    ]
    if o.kind == "window":
        parts += _window_bars(o, trim)
    else:
        sill = Material("wood", style.woods[0].rgb)
        # Slightly narrower than the wall: in a stairwell the wall face continues below.
        width = (o.position, 2 * WALL_HALF_THICKNESS - (0.01 if o.floor else 0.0))
        parts.append(wall_block(o.axis, (o.start, o.end), width, (-0.03, 0.006), sill))
    category = {"window": "window", "arch": "archway", "railing": "archway"}.get(
        o.kind, "door frame"
    )
    room = o.rooms[0] if o.rooms[1] < 0 else -1
    return Fixture(category, room, tuple(parts), colour_name(trim.tint))


def _window_bars(o: Opening, trim: Material) -> list[Part]:
    """Build a sill board, a mullion and a crossbar."""
    middle, crossing = (o.start + o.end) / 2, o.bottom + 0.62 * (o.top - o.bottom)
    board, bar = (o.position, _FRAME_DEPTH + 0.02), (o.position, 0.05)
    pieces = (
        ((o.start - 0.06, o.end + 0.06), board, (o.bottom - 0.025, o.bottom)),
        ((o.start, o.end), (o.position, 0.07), (o.bottom, o.bottom + 0.04)),
        ((middle - 0.02, middle + 0.02), bar, (o.bottom, o.top)),
        ((o.start, o.end), bar, (crossing - 0.02, crossing + 0.02)),
    )
    return [wall_block(o.axis, *piece, trim) for piece in pieces]


def _entrance_door(opening: Opening, style: Style) -> Fixture:
    rng = np.random.default_rng([style.seed, 31])
    leaf = make_item("door", rng, style, width=opening.width - 0.03, height=opening.top - 0.01)
    room = opening.rooms[0]
    x, y = opening.centre
    return Fixture(
        "entrance door",
        room,
        tuple(transform(leaf.parts, angle=_entrance_angle(opening), offset=(x, y, 0.006))),
        leaf.colour,
        leaf.material,
    )


def _closed_door(plan: FloorPlan, opening: Opening, style: Style) -> list[Fixture]:
    """Build a leaf flush with each side of the wall, one for each adjacent room."""
    # The position seeds the draw, so that the doors of a house differ in colour.
    position = [round(100 * value) for value in (*opening.centre, opening.floor)]
    rng = np.random.default_rng([style.seed, 37, *position])
    leaf = make_item("door", rng, style, width=opening.width - 0.03, height=opening.top - 0.01)
    leaves = []
    for index in opening.rooms:
        room = plan.rooms[index]
        if room.kind == STAIRWELL:
            continue  # the solid sides of the steps are behind the cupboard door
        x, y = opening.centre
        inset = WALL_HALF_THICKNESS - 0.02
        if opening.axis == "x":
            y += inset if room.centre[1] > y else -inset
        else:
            x += inset if room.centre[0] > x else -inset
        parts = transform(leaf.parts, angle=_entrance_angle(opening), offset=(x, y, 0.006))
        leaves.append(Fixture("closed door", index, tuple(parts), leaf.colour, leaf.material))
    return leaves


def _entrance_angle(opening: Opening) -> float:
    return 0.0 if opening.axis == "x" else np.pi / 2


def _garden(plan: FloorPlan) -> Fixture:
    """Build a round backdrop, facing inwards: the picture "outside" with stretched rims."""
    turn = np.linspace(0, 2 * np.pi, 49)[:, None]
    z = np.array(_GARDEN_HEIGHTS)[None, :]
    turn, z = np.broadcast_arrays(turn, z)
    x = plan.width / 2 + GARDEN_RADIUS * np.sin(turn)
    y = plan.depth / 2 + GARDEN_RADIUS * np.cos(turn)
    inward = np.stack([-np.sin(turn), -np.cos(turn), np.zeros_like(z)], axis=-1)
    v = np.broadcast_to(np.array(_GARDEN_ROWS), z.shape)
    uvs = np.stack([turn / (2 * np.pi) * _GARDEN_REPEATS, v], axis=-1)
    backdrop = lattice(np.stack([x, y, z], axis=-1), inward, uvs, Material("outside"))
    return Fixture(OUTSIDE, -1, (backdrop,))
