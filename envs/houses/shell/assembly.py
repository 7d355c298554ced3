"""Assembly of walls, floors and furniture into one scene.

Floors have dense vertices around furniture, so that its contact shadows are visible. Light is
stored at vertices, and the shadow at the foot of a chest is narrower than the cells of an open
floor. Coarse cells near the border of an object are divided into finer ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.materials.textures import TEXTURE_SCALE
from clipnav.envs.houses.meshes.geometry import Material, Part, transform
from clipnav.envs.houses.meshes.mesh import join, lattice
from clipnav.envs.houses.plan.elements import WALL_HALF_THICKNESS, Room
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.houses.shell.structure import build_structure
from clipnav.envs.houses.shell.walls import grid_lines
from clipnav.envs.models.scene import ObjectInfo, Scene
from clipnav.storage.errors import UnknownNameError

if TYPE_CHECKING:
    from clipnav.envs.houses.furnishing.placement import Box
    from clipnav.envs.houses.furnishing.room_builder import PlacedObject
    from clipnav.envs.houses.materials.style import Style
    from clipnav.envs.houses.plan.floor_plan import FloorPlan
    from clipnav.envs.houses.shell.fixture import FloorLayer


_COARSE = 0.5
_CUT = 3  # pieces of a coarse cell along each side
_NEAR = 0.03  # metres from the border of a footprint, inside and outside
_HIGHEST = 0.25  # metres; objects that begin higher cast no sharp contact shadow
_SAFETY = 0.006  # depth in metres of a plane below the floor that stops rays at its joints
_COLUMNS = ("positions", "normals", "uvs", "colours", "faces", "face_object", "face_texture")


def _shadow_floor(placed: Sequence[PlacedObject]) -> FloorLayer:
    """Return a floor layer whose floors are fine around these objects."""

    def lay(room: Room, material: Material) -> Part:
        boxes = [
            thing.footprint
            for thing in placed
            if thing.room == room.index
            and thing.item.mount == "floor"
            and thing.position[2] - room.floor < _HIGHEST
            and thing.item.category != "rug"
        ]
        return lay_floor(room, material, boxes)

    return lay


def lay_floor(room: Room, material: Material, boxes: Iterable[Box]) -> Part:
    """Build the floor of a room at height 0, fine near the borders of boxes."""
    t = WALL_HALF_THICKNESS
    spans = ((room.x0, room.x1), (room.y0, room.y1))
    x, y = (grid_lines(low + t, high - t, [], _COARSE) for low, high in spans)
    fine = np.zeros((len(x) - 1, len(y) - 1), bool)
    middle_x, middle_y = (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2
    half = np.hypot(np.diff(x)[:, None], np.diff(y)[None, :]) / 2
    for box in boxes:
        # Distance of a cell's centre from the box; negative inside, to the nearest side.
        out_x = np.maximum(box.x0 - middle_x, middle_x - box.x1)[:, None]
        out_y = np.maximum(box.y0 - middle_y, middle_y - box.y1)[None, :]
        distance = np.where(
            (out_x < 0) & (out_y < 0),
            np.maximum(out_x, out_y),
            np.hypot(np.maximum(out_x, 0), np.maximum(out_y, 0)),
        )
        fine |= np.abs(distance) < _NEAR + 0.5 * half
    cells = [
        _cell(x, y, int(i), int(j), bool(fine[i, j]), material) for i, j in np.ndindex(fine.shape)
    ]
    # Rays may pass between fine and coarse cells; they end on this plane.
    below = _grid(x[[0, -1]], y[[0, -1]], material, -_SAFETY)
    part = join([*cells, below])
    key = np.rint(part.positions * 1e5).astype(np.int64)
    _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return Part(
        part.positions[first],
        part.normals[first],
        part.uvs[first],
        group.reshape(-1)[part.faces],
        part.material,
    )


def _cell(x: np.ndarray, y: np.ndarray, i: int, j: int, is_fine: bool, material: Material) -> Part:
    pieces = _CUT if is_fine else 1
    along_x = np.linspace(x[i], x[i + 1], pieces + 1)
    return _grid(along_x, np.linspace(y[j], y[j + 1], pieces + 1), material, 0.0)


def _grid(x: np.ndarray, y: np.ndarray, material: Material, height: float) -> Part:
    u, v = np.meshgrid(x, y, indexing="ij")
    points = np.stack([u, v, np.full_like(u, height)], axis=-1)
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), points.shape)
    return lattice(points, up, points[..., :2], material)


def assemble(
    plan: FloorPlan,
    placed: Sequence[PlacedObject],
    style: Style,
    textures: dict[str, np.ndarray],
) -> Scene:
    """Assemble walls, floors, windows and furniture into one unlit scene.

    Vertex colours are the tints. The scene contains only textures in use, in alphabetical order.
    """
    structure = build_structure(plan, style, _shadow_floor(placed))
    return scene_of_fixtures([*structure, *map(_fixture, placed)], textures)


def scene_of_fixtures(fixtures: Sequence[Fixture], textures: dict[str, np.ndarray]) -> Scene:
    """Convert fixtures with parts in world coordinates to a scene; see `assemble`."""
    names = sorted({part.material.texture for fixture in fixtures for part in fixture.parts})
    missing = [name for name in names if name not in textures]
    if missing:
        raise UnknownNameError(f"no texture named {missing[0]!r}; use one of {', '.join(textures)}")
    columns: dict[str, list[np.ndarray]] = {key: [] for key in _COLUMNS}
    objects = []
    vertex_count = 0
    for index, fixture in enumerate(fixtures):
        parts = sorted(fixture.parts, key=lambda part: part.material.texture)
        for part in parts:
            repeats = TEXTURE_SCALE.get(part.material.texture, 1.0)
            columns["positions"].append(np.asarray(part.positions, np.float32))
            columns["normals"].append(np.asarray(part.normals, np.float32))
            columns["uvs"].append(np.asarray(part.uvs * repeats, np.float32))
            columns["colours"].append(
                np.tile(np.asarray(part.material.tint, np.float32), (len(part.positions), 1))
            )
            columns["faces"].append(np.asarray(part.faces + vertex_count, np.int32))
            columns["face_object"].append(np.full(len(part.faces), index, np.int32))
            columns["face_texture"].append(
                np.full(len(part.faces), names.index(part.material.texture), np.int32)
            )
            vertex_count += len(part.positions)
        positions = np.concatenate([part.positions for part in fixture.parts])
        x0, y0, z0 = (round(float(value), 4) for value in positions.min(axis=0))
        x1, y1, z1 = (round(float(value), 4) for value in positions.max(axis=0))
        objects.append(
            ObjectInfo(
                index,
                fixture.category,
                fixture.colour,
                fixture.material,
                fixture.room,
                (x0, y0, z0),
                (x1, y1, z1),
            )
        )
    arrays = {key: np.concatenate(blocks) for key, blocks in columns.items()}
    return Scene(
        **arrays,
        textures=tuple(textures[name] for name in names),
        texture_names=tuple(names),
        objects=tuple(objects),
    )


def _fixture(placed: PlacedObject) -> Fixture:
    item = placed.item
    parts = transform(list(item.parts), angle=placed.angle, offset=placed.position)
    return Fixture(item.category, placed.room, tuple(parts), item.colour, item.material)
