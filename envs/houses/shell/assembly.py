"""Assembly of walls, floors and furniture into one scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.materials.textures import TEXTURE_SCALE
from clipnav.envs.houses.meshes.geometry import Part, transform
from clipnav.envs.houses.meshes.scene import ObjectInfo, Scene
from clipnav.envs.houses.shell.fine_floor import shadow_floor
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.houses.shell.structure import build_structure
from clipnav.envs.houses.shell.walls import FEW_TRIANGLES, FULL_DETAIL
from clipnav.storage.errors import UnknownNameError

if TYPE_CHECKING:
    from clipnav.envs.houses.furnishing.rooms import PlacedObject
    from clipnav.envs.houses.materials.style import Style
    from clipnav.envs.houses.plan.floor_plan import FloorPlan

_COLUMNS = ("positions", "normals", "uvs", "colours", "faces", "face_object", "face_texture")


def assemble(
    plan: FloorPlan,
    placed: Sequence[PlacedObject],
    style: Style,
    textures: dict[str, np.ndarray],
    contact_shadows: bool = False,
    compact: bool = False,
) -> Scene:
    """Assemble walls, floors, windows and furniture into one unlit scene.

    Vertex colours are the tints. The scene contains only textures in use, in alphabetical order.
    With `contact_shadows` the floors have more vertices around the furniture; a `compact` house has
    fewer on its walls.
    """
    lay_floor = shadow_floor(placed) if contact_shadows else None
    detail = FEW_TRIANGLES if compact else FULL_DETAIL
    structure = build_structure(plan, style, lay_floor, detail)
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
            _append_part(columns, part, index, names.index(part.material.texture), vertex_count)
            vertex_count += len(part.positions)
        objects.append(_object_info(index, fixture))
    arrays = {key: np.concatenate(blocks) for key, blocks in columns.items()}
    return Scene(
        **arrays,
        textures=tuple(textures[name] for name in names),
        texture_names=tuple(names),
        objects=tuple(objects),
    )


def _append_part(
    columns: dict[str, list[np.ndarray]], part: Part, index: int, texture: int, first_vertex: int
) -> None:
    repeats = TEXTURE_SCALE.get(part.material.texture, 1.0)
    columns["positions"].append(np.asarray(part.positions, np.float32))
    columns["normals"].append(np.asarray(part.normals, np.float32))
    columns["uvs"].append(np.asarray(part.uvs * repeats, np.float32))
    columns["colours"].append(
        np.tile(np.asarray(part.material.tint, np.float32), (len(part.positions), 1))
    )
    columns["faces"].append(np.asarray(part.faces + first_vertex, np.int32))
    columns["face_object"].append(np.full(len(part.faces), index, np.int32))
    columns["face_texture"].append(np.full(len(part.faces), texture, np.int32))


def _object_info(index: int, fixture: Fixture) -> ObjectInfo:
    positions = np.concatenate([part.positions for part in fixture.parts])
    x0, y0, z0 = (round(float(value), 4) for value in positions.min(axis=0))
    x1, y1, z1 = (round(float(value), 4) for value in positions.max(axis=0))
    return ObjectInfo(
        index,
        fixture.category,
        fixture.colour,
        fixture.material,
        fixture.room,
        (x0, y0, z0),
        (x1, y1, z1),
    )


def _fixture(placed: PlacedObject) -> Fixture:
    item = placed.item
    parts = transform(list(item.parts), angle=placed.angle, offset=placed.position)
    return Fixture(item.category, placed.room, tuple(parts), item.colour, item.material)
