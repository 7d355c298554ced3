"""The fixed parts of a house: floors, ceilings, walls, skirting, frames and the garden outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from envs.houses.colours import colour_name
from envs.houses.geometry import Material, Part, box, transform
from envs.houses.mesh import lattice
from envs.houses.plan_elements import WALL_HALF_THICKNESS, WALL_HEIGHT, Opening, Room

if TYPE_CHECKING:
    from envs.houses.floor_plan import FloorPlan
    from envs.houses.style import Style

OUTSIDE = "outside"

# Distances in metres of the first vertices from a corner: the soft dark line where two surfaces
# meet is narrower than the cells of the open wall. Light is stored at the vertices.
_CORNER_STEPS = (0.07, 0.2)
_WALL_CELL = 0.33
_FLOOR_CELL = 0.15
_CEILING_CELL = 0.5
_OVERLAP = 0.01  # surfaces run this far into each other, so that no ray slips through a joint
_FRAME = 0.05  # width of window and door frames
_FRAME_DEPTH = 2 * WALL_HALF_THICKNESS + 0.04
_SKIRTING = (0.012, 0.09)  # thickness, height
_GARDEN_RADIUS = 30.0
_GARDEN_REPEATS = 2  # of its picture, all round
# Heights in metres and the rows of the picture there; the horizon lies at the height of the eyes.
_GARDEN_HEIGHTS = (-60.0, -14.0, 18.0, 90.0)
_GARDEN_ROWS = (0.99, 0.98, 0.01, 0.005)


@dataclass(frozen=True, eq=False)
class Fixture:
    """An object of a house, in world coordinates.

    Attributes:
        category: plain English noun.
        room: index of its room, -1 outside or between rooms.
        parts: its surfaces.
        colour: name of its dominant colour, "" if not worth naming.
        material: "wooden", ... or "".
    """

    category: str
    room: int
    parts: tuple[Part, ...]
    colour: str = ""
    material: str = ""


def build_structure(plan: FloorPlan, style: Style) -> list[Fixture]:
    """Everything of a house that is not furniture."""
    fixtures: list[Fixture] = []
    for room in plan.rooms:
        fixtures += _room_shell(room, list(plan.openings_of(room.index)), style)
    fixtures += [_frame(opening, style) for opening in plan.openings]
    entrances = [opening for opening in plan.openings if opening.kind == "entrance"]
    fixtures += [_entrance_door(opening, style) for opening in entrances]
    fixtures.append(_garden(plan))
    return fixtures


def _room_shell(room: Room, openings: Sequence[Opening], style: Style) -> list[Fixture]:
    floor, wall = style.floor(room.kind), style.wall(room.kind)
    walls = [_wall(side, openings, wall) for side in _sides(room)]
    skirting = [piece for side in _sides(room) for piece in _skirting(side, openings, style.trim)]
    ceiling = _slab(room, WALL_HEIGHT, _CEILING_CELL, style.ceiling)
    return [
        Fixture(
            "floor", room.index, (_slab(room, 0.0, _FLOOR_CELL, floor),), colour_name(floor.tint)
        ),
        Fixture("ceiling", room.index, (ceiling,), colour_name(style.ceiling.tint)),
        Fixture("wall", room.index, tuple(walls), colour_name(wall.tint)),
        Fixture("skirting", room.index, tuple(skirting), colour_name(style.trim.tint)),
    ]


@dataclass(frozen=True)
class _Side:
    """One inner wall face of a room: it runs along `axis` from `start` to `end` at `face`.

    `centre` is the wall's centre line and `facing` +1 or -1, the way to the room's middle.
    """

    axis: str
    centre: float
    facing: int
    start: float
    end: float

    @property
    def face(self) -> float:
        return self.centre + self.facing * WALL_HALF_THICKNESS

    def holes(self, openings: Iterable[Opening]) -> list[Opening]:
        return [
            opening
            for opening in openings
            if opening.axis == self.axis
            and abs(opening.position - self.centre) < 1e-6
            and self.start < opening.start
            and opening.end < self.end
        ]


def _sides(room: Room) -> tuple[_Side, _Side, _Side, _Side]:
    t = WALL_HALF_THICKNESS
    return (
        _Side("x", room.y0, 1, room.x0 + t, room.x1 - t),
        _Side("x", room.y1, -1, room.x0 + t, room.x1 - t),
        _Side("y", room.x0, 1, room.y0 + t, room.y1 - t),
        _Side("y", room.x1, -1, room.y0 + t, room.y1 - t),
    )


def _wall(side: _Side, openings: Sequence[Opening], material: Material) -> Part:
    holes = side.holes(openings)
    along = _ticks(
        side.start, side.end, [x for hole in holes for x in (hole.start, hole.end)], _WALL_CELL
    )
    heights = [z for hole in holes for z in (hole.bottom, hole.top) if 0 < z < WALL_HEIGHT]
    up = _ticks(0.0, WALL_HEIGHT, heights, _WALL_CELL)
    u, z = np.meshgrid(along, up, indexing="ij")
    points = _place(side.axis, u, np.full_like(u, side.face), z)
    normal = _place(side.axis, 0.0, float(side.facing), 0.0)
    # Along x, (along) x (up) is -y; along y it is +x.
    flip = side.facing == (1 if side.axis == "x" else -1)
    part = lattice(
        points,
        np.broadcast_to(normal, points.shape),
        np.stack([u, WALL_HEIGHT - z], axis=-1),
        material,
        flip=flip,
    )
    centre = part.positions[part.faces].mean(axis=1)
    run, height = centre[:, 0 if side.axis == "x" else 1], centre[:, 2]
    keep = np.ones(len(centre), bool)
    for hole in holes:
        within = (run > hole.start) & (run < hole.end) & (height < hole.top)
        keep &= ~(within & (height > hole.bottom))
    return _with_faces(part, part.faces[keep])


def _with_faces(part: Part, faces: np.ndarray) -> Part:
    """The part with only these of its faces and no idle vertices."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return replace(
        part,
        positions=part.positions[used],
        normals=part.normals[used],
        uvs=part.uvs[used],
        faces=renumbered.reshape(faces.shape),
    )


def _slab(room: Room, height: float, cell: float, material: Material) -> Part:
    """Floor (height 0, facing up) or ceiling (facing down) between the walls of a room."""
    t = WALL_HALF_THICKNESS
    x, y = np.meshgrid(
        _ticks(room.x0 + t, room.x1 - t, [], cell),
        _ticks(room.y0 + t, room.y1 - t, [], cell),
        indexing="ij",
    )
    points = np.stack([x, y, np.full_like(x, height)], axis=-1)
    up = height == 0.0
    normals = np.broadcast_to(np.array([0.0, 0.0, 1.0 if up else -1.0]), points.shape)
    return lattice(points, normals, np.stack([x, y], axis=-1), material, flip=not up)


def _ticks(start: float, end: float, breaks: Iterable[float], cell: float) -> np.ndarray:
    """Grid lines from just before `start` to just after `end`: closer together at the ends."""
    low = [start + step for step in _CORNER_STEPS]
    high = [end - step for step in reversed(_CORNER_STEPS)]
    fixed = sorted({start - _OVERLAP, *low, *breaks, *high, end + _OVERLAP})
    lines = [fixed[0]]
    for stop in fixed[1:]:
        if stop - lines[-1] < 1e-3:
            continue
        count = int(np.ceil((stop - lines[-1]) / cell - 1e-9))
        lines += list(np.linspace(lines[-1], stop, count + 1)[1:])
    return np.array(lines)


def _place(axis: str, along: float | np.ndarray, across: float | np.ndarray, up) -> np.ndarray:
    """(..., 3) coordinates of a wall that runs along `axis`."""
    order = (along, across, up) if axis == "x" else (across, along, up)
    return np.stack(np.broadcast_arrays(*order), axis=-1).astype(float)


def _skirting(side: _Side, openings: Sequence[Opening], trim: Material) -> list[Part]:
    thickness, height = _SKIRTING
    doors = sorted((hole.start, hole.end) for hole in side.holes(openings) if hole.bottom == 0)
    edges = [side.start, *(x for door in doors for x in door), side.end]
    across = side.face + side.facing * thickness / 2
    return [
        _block(side.axis, (start, end), (across, thickness), (-_OVERLAP, height), trim)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start > 0.01
    ]


def _block(
    axis: str,
    run: tuple[float, float],
    across: tuple[float, float],
    up: tuple[float, float],
    material: Material,
) -> Part:
    """A box along a wall: `run` and `up` are limits, `across` is (middle, thickness)."""
    size = _place(axis, run[1] - run[0], across[1], up[1] - up[0])
    centre = _place(axis, (run[0] + run[1]) / 2, across[0], (up[0] + up[1]) / 2)
    return box(size, material, center=centre, cell=0.4)


def _frame(opening: Opening, style: Style) -> Fixture:
    o, half = opening, _FRAME / 2
    wall = (o.position, _FRAME_DEPTH)
    foot = o.bottom - half if o.bottom > 0 else -_OVERLAP
    parts = [
        _block(o.axis, (o.start - half, o.start + half), wall, (foot, o.top + half), style.trim),
        _block(o.axis, (o.end - half, o.end + half), wall, (foot, o.top + half), style.trim),
        _block(o.axis, (o.start, o.end), wall, (o.top - half, o.top + half), style.trim),
    ]
    if o.kind == "window":
        parts += _window_bars(o, style.trim)
    else:
        sill = Material("wood", style.woods[0].rgb)
        width = (o.position, 2 * WALL_HALF_THICKNESS)
        parts.append(_block(o.axis, (o.start, o.end), width, (-0.03, 0.006), sill))
    category = {"window": "window", "arch": "archway"}.get(o.kind, "door frame")
    room = o.rooms[0] if o.rooms[1] < 0 else -1
    return Fixture(category, room, tuple(parts), colour_name(style.trim.tint))


def _window_bars(o: Opening, trim: Material) -> list[Part]:
    """Sill board, one upright and one crossbar."""
    middle, crossing = (o.start + o.end) / 2, o.bottom + 0.62 * (o.top - o.bottom)
    board, bar = (o.position, _FRAME_DEPTH + 0.02), (o.position, 0.05)
    return [
        _block(o.axis, (o.start - 0.06, o.end + 0.06), board, (o.bottom - 0.025, o.bottom), trim),
        _block(o.axis, (o.start, o.end), (o.position, 0.07), (o.bottom, o.bottom + 0.04), trim),
        _block(o.axis, (middle - 0.02, middle + 0.02), bar, (o.bottom, o.top), trim),
        _block(o.axis, (o.start, o.end), bar, (crossing - 0.02, crossing + 0.02), trim),
    ]


def _entrance_door(opening: Opening, style: Style) -> Fixture:
    from envs.houses.furniture import make_item

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


def _entrance_angle(opening: Opening) -> float:
    return 0.0 if opening.axis == "x" else np.pi / 2


def _garden(plan: FloorPlan) -> Fixture:
    """A round backdrop, seen from inside: the picture "outside", its rims stretched up and down."""
    turn = np.linspace(0, 2 * np.pi, 49)[:, None]
    z = np.array(_GARDEN_HEIGHTS)[None, :]
    turn, z = np.broadcast_arrays(turn, z)
    x = plan.width / 2 + _GARDEN_RADIUS * np.sin(turn)
    y = plan.depth / 2 + _GARDEN_RADIUS * np.cos(turn)
    inward = np.stack([-np.sin(turn), -np.cos(turn), np.zeros_like(z)], axis=-1)
    v = np.broadcast_to(np.array(_GARDEN_ROWS), z.shape)
    uvs = np.stack([turn / (2 * np.pi) * _GARDEN_REPEATS, v], axis=-1)
    backdrop = lattice(np.stack([x, y, z], axis=-1), inward, uvs, Material("outside"))
    return Fixture(OUTSIDE, -1, (backdrop,))
