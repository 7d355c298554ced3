"""Fixed parts of a house: floors, ceilings, walls, skirting, frames and the garden.

Only houses with a recess have outer faces and ground: from a rectangular one, none is visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.furniture import make_item
from clipnav.envs.houses.furniture.item import wood_surface
from clipnav.envs.houses.materials.colours import colour_name
from clipnav.envs.houses.meshes.geometry import Material, Part, box, transform, tube
from clipnav.envs.houses.meshes.mesh import lattice
from clipnav.envs.houses.plan.elements import (
    FLIGHT_GAP,
    RISERS,
    STAIRWELL,
    STOREY_HEIGHT,
    TREAD,
    WALL_HALF_THICKNESS,
    WALL_HEIGHT,
    Opening,
    Room,
    Stairs,
)
from clipnav.envs.houses.plan.wall_openings import outer_walls
from clipnav.envs.houses.shell.fixture import GARDEN_RADIUS, OUTSIDE, Fixture, FloorLayer
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


_RAIL_HEIGHT = 0.92  # metres above a tread's edge or a floor
_STEPS = RISERS // 2 - 1  # treads of a flight, without the landing or the floor above
_PLANK = 0.03  # thickness of a tread
_NOSING = 0.02  # overhang of a tread over the one below
_RAIL = 0.024  # radius of a hand rail
_BALUSTER = 0.03
_BALUSTER_GAP = 0.13
_SUNK = 0.01  # overlap of solids with walls and floors
_FACADE_TAG = 32
_RENDERS = ((0.93, 0.90, 0.84), (0.90, 0.82, 0.70), (0.84, 0.86, 0.88), (0.95, 0.94, 0.92))
_SHADE = 0.86  # brightness of faces that face away from the sun; they have no other lighting
_GRASS = (0.42, 0.55, 0.28)
_GROUND = -0.08  # height of the garden in metres, below the floor
_CELL = 3.0  # metres; coarse, because no light is baked here
_FRAME = 0.05  # width of window and door frames
_FRAME_DEPTH = 2 * WALL_HALF_THICKNESS + 0.04
_SKIRTING = (0.012, 0.09)  # thickness, height
_GARDEN_REPEATS = 2  # copies of the garden picture around the house
# Heights in metres and picture rows at these heights; the horizon is at eye height.
_GARDEN_HEIGHTS = (-60.0, -14.0, 18.0, 90.0)
_GARDEN_ROWS = (0.99, 0.98, 0.01, 0.005)


def _build_stairs(stairs: Stairs, style: Style) -> list[Fixture]:
    """Build steps and landing as one object and rails as another, both in the lower room."""
    wood = wood_surface(style.woods[0])
    steps = [*_flight(stairs, wood, style.trim, upper=False)]
    steps += _flight(stairs, wood, style.trim, upper=True)
    steps += _landing(stairs, wood, style.trim)
    across = stairs.first_side * (stairs.width / 2 - WALL_HALF_THICKNESS - 0.06)
    floor, slope = stairs.storey * STOREY_HEIGHT, stairs.rise / TREAD
    ends = (WALL_HALF_THICKNESS + 0.1, stairs.landing_start)
    path = [
        (*stairs.point(across, y), floor + _RAIL_HEIGHT + stairs.rise + slope * (y - ends[0]))
        for y in np.linspace(*ends, 3)
    ]
    rails = [*_balustrade(stairs, wood, style.trim), tube(path, _RAIL * 0.8, wood, sides=8)]
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
        wall_block(o.axis, (o.start, o.end), middle, (_RAIL_HEIGHT - 0.05, _RAIL_HEIGHT), wood),
        wall_block(o.axis, (o.start, o.end), middle, (0.05, 0.09), style.trim),
    ]
    for k in range(1, count):
        at = o.start + k * o.width / count
        run = (at - _BALUSTER / 2, at + _BALUSTER / 2)
        up = (0.08, _RAIL_HEIGHT - 0.04)
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
        return low + _RAIL_HEIGHT + slope * (start - along) + stairs.rise / 2

    for k in range(_STEPS):
        for share in (0.25, 0.75):
            along = start - (k + share) * TREAD
            foot = (RISERS // 2 + 1 + k) * stairs.rise - _SUNK
            up = (foot, rail_height(along))
            yield _block(stairs, (-half, half), (along - half, along + half), up, paint)
    post = (start - 0.04, start + 0.04)
    yield _block(stairs, (-0.04, 0.04), post, (low - _SUNK, low + _RAIL_HEIGHT + 0.2), wood)
    floor = stairs.storey * STOREY_HEIGHT
    ends = (start, WALL_HALF_THICKNESS - _SUNK)
    path = [(*stairs.point(0.0, y), floor + rail_height(y)) for y in np.linspace(*ends, 3)]
    yield tube(path, _RAIL, wood, sides=8)


def build_facade(plan: FloorPlan, style: Style) -> Fixture:
    """Build outer walls of brick or plaster and a lawn, as part of the unlit garden."""
    rng = np.random.default_rng([style.seed, _FACADE_TAG])
    surface = Material("plaster", _RENDERS[int(rng.integers(len(_RENDERS)))])
    if rng.random() < 0.5:
        surface = Material("brick")
    parts = [part for room in plan.rooms for part in _faces(plan, room, surface)]
    turn = np.linspace(0, 2 * np.pi, 25)[:, None]
    radius = np.array([0.0, GARDEN_RADIUS])[None, :]
    x, y = plan.width / 2 + radius * np.sin(turn), plan.depth / 2 + radius * np.cos(turn)
    points = np.stack([x, y, np.full_like(x, _GROUND)], axis=-1)
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), points.shape)
    return Fixture(
        OUTSIDE, -1, (*parts, lattice(points, up, points[..., :2], Material("carpet", _GRASS)))
    )


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
        fixtures += _build_stairs(flight, style)
    if not plan.is_rectangular:
        fixtures.append(build_facade(plan, style))
    # A round backdrop, facing inwards: the picture "outside" with stretched rims.
    turn = np.linspace(0, 2 * np.pi, 49)[:, None]
    z = np.array(_GARDEN_HEIGHTS)[None, :]
    turn, z = np.broadcast_arrays(turn, z)
    x = plan.width / 2 + GARDEN_RADIUS * np.sin(turn)
    y = plan.depth / 2 + GARDEN_RADIUS * np.cos(turn)
    inward = np.stack([-np.sin(turn), -np.cos(turn), np.zeros_like(z)], axis=-1)
    v = np.broadcast_to(np.array(_GARDEN_ROWS), z.shape)
    uvs = np.stack([turn / (2 * np.pi) * _GARDEN_REPEATS, v], axis=-1)
    backdrop = lattice(np.stack([x, y, z], axis=-1), inward, uvs, Material("outside"))
    fixtures.append(Fixture(OUTSIDE, -1, (backdrop,)))
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
        t = WALL_HALF_THICKNESS
        x, y = np.meshgrid(
            grid_lines(room.x0 + t, room.x1 - t, [], CEILING_CELL),
            grid_lines(room.y0 + t, room.y1 - t, [], CEILING_CELL),
            indexing="ij",
        )
        points = np.stack([x, y, np.full_like(x, WALL_HEIGHT)], axis=-1)
        normals = np.broadcast_to(np.array([0.0, 0.0, -1.0]), points.shape)
        ceiling = lattice(points, normals, np.stack([x, y], axis=-1), style.ceiling, flip=True)
        shell.append(Fixture("ceiling", room.index, (ceiling,), colour_name(style.ceiling.tint)))
    shell.append(Fixture("wall", room.index, tuple(walls), colour_name(wall.tint)))
    if not is_well:
        skirting = [p for side in sides_of(room) for p in _skirting(side, openings, style.trim)]
        colour = colour_name(style.trim.tint)
        shell.append(Fixture("skirting", room.index, tuple(skirting), colour))
    return shell


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
