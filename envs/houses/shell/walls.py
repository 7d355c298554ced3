"""Inner wall faces and blocks along walls; heights are metres above the storey's floor."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clipnav.envs.houses.meshes.geometry import Material, Part, box
from clipnav.envs.houses.meshes.mesh import lattice
from clipnav.envs.houses.plan.elements import WALL_HALF_THICKNESS, WALL_HEIGHT, Opening, Room

OVERLAP = 0.01  # metres by which surfaces overlap, so that no ray passes through a joint
# Maximum distances in metres of the vertices of a building; light is stored at vertices.
_WALL_CELL, CEILING_CELL, _BLOCK_CELL = 0.7, 0.9, 1.2
# First vertices from a corner: the soft dark line where two surfaces meet is narrower than the
# cells of the open wall.
_CORNER_STEP = 0.13


@dataclass(frozen=True)
class Side:
    """One inner wall face of a room, along `axis` from `start` to `end` at `face`.

    `centre` is the wall's centre line; `facing` is the direction to the room's centre, +1 or -1.
    """

    axis: str
    centre: float
    facing: int
    start: float
    end: float

    @property
    def face(self) -> float:
        """Coordinate of the face across the wall."""
        return self.centre + self.facing * WALL_HALF_THICKNESS

    def holes(self, openings: Iterable[Opening]) -> list[Opening]:
        """Return the openings in this face."""
        return [
            opening
            for opening in openings
            if opening.axis == self.axis
            and abs(opening.position - self.centre) < 1e-6
            and self.start < opening.start
            and opening.end < self.end
        ]


def sides_of(room: Room) -> tuple[Side, Side, Side, Side]:
    """Return the four inner wall faces of a room: low and high y, low and high x."""
    t = WALL_HALF_THICKNESS
    return (
        Side("x", room.y0, 1, room.x0 + t, room.x1 - t),
        Side("x", room.y1, -1, room.x0 + t, room.x1 - t),
        Side("y", room.x0, 1, room.y0 + t, room.y1 - t),
        Side("y", room.x1, -1, room.y0 + t, room.y1 - t),
    )


def wall_face(
    side: Side,
    openings: Sequence[Opening],
    material: Material,
    height: float = WALL_HEIGHT,
    cell: float = _WALL_CELL,
) -> Part:
    """Build a wall face from the floor up, with holes for the openings.

    Args:
        height: Height in metres.
        cell: Maximum distance of vertices in metres.
    """
    holes = side.holes(openings)
    ends = [x for hole in holes for x in (hole.start, hole.end)]
    along = grid_lines(side.start, side.end, ends, cell)
    heights = [z for hole in holes for z in (hole.bottom, hole.top) if 0 < z < height]
    up = grid_lines(0.0, height, heights, cell)
    u, z = np.meshgrid(along, up, indexing="ij")
    points = _wall_coordinates(side.axis, u, np.full_like(u, side.face), z)
    normal = _wall_coordinates(side.axis, 0.0, float(side.facing), 0.0)
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
    run, above = centre[:, 0 if side.axis == "x" else 1], centre[:, 2]
    keep = np.ones(len(centre), bool)
    for hole in holes:
        within = (run > hole.start) & (run < hole.end) & (above < hole.top)
        keep &= ~(within & (above > hole.bottom))
    faces = part.faces[keep]
    used, renumbered = np.unique(faces, return_inverse=True)
    return replace(
        part,
        positions=part.positions[used],
        normals=part.normals[used],
        uvs=part.uvs[used],
        faces=renumbered.reshape(faces.shape),
    )


def grid_lines(start: float, end: float, breaks: Iterable[float], cell: float) -> np.ndarray:
    """Return grid lines from just before `start` to just after `end`, denser at the ends."""
    steps = (start + _CORNER_STEP, end - _CORNER_STEP)
    fixed = sorted({start - OVERLAP, *breaks, *steps, end + OVERLAP})
    lines = [fixed[0]]
    for stop in fixed[1:]:
        if stop - lines[-1] < 1e-3:
            continue
        count = int(np.ceil((stop - lines[-1]) / cell - 1e-9))
        lines += list(np.linspace(lines[-1], stop, count + 1)[1:])
    return np.array(lines)


def _wall_coordinates(
    axis: str, along: float | np.ndarray, across: float | np.ndarray, up
) -> np.ndarray:
    """Return coordinates (..., 3) of points of a wall along `axis`."""
    order = (along, across, up) if axis == "x" else (across, along, up)
    return np.stack(np.broadcast_arrays(*order), axis=-1).astype(float)


def wall_block(
    axis: str,
    run: tuple[float, float],
    across: tuple[float, float],
    up: tuple[float, float],
    material: Material,
) -> Part:
    """Build a box along a wall: `run` and `up` are limits, `across` is (middle, thickness)."""
    size = _wall_coordinates(axis, run[1] - run[0], across[1], up[1] - up[0])
    centre = _wall_coordinates(axis, (run[0] + run[1]) / 2, across[0], (up[0] + up[1]) / 2)
    return box(size, material, center=centre, cell=_BLOCK_CELL)
