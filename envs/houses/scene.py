"""A house as flat arrays of triangles, textures and named objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.houses.structure import Fixture, build_structure
from envs.houses.walls import FEW_TRIANGLES, FULL_DETAIL

if TYPE_CHECKING:
    from envs.houses.floor_plan import FloorPlan
    from envs.houses.furnishing import PlacedObject
    from envs.houses.geometry import Part
    from envs.houses.style import Style

Point = tuple[float, float, float]


@dataclass(frozen=True)
class ObjectInfo:
    """What one thing in a house is, and its axis-aligned box in metres.

    Attributes:
        index: position in `Scene.objects`, and the value in object-id images.
        category: plain English noun, "sofa".
        colour: plain English name of the dominant colour, "" where it has none worth naming.
        material: "wooden", "leather", ... or "".
        room: index of the room that it stands in, -1 outside or between rooms.
        lower: smallest x, y, z of its box.
        upper: largest x, y, z of its box.
    """

    index: int
    category: str
    colour: str
    material: str
    room: int
    lower: Point
    upper: Point

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> ObjectInfo:
        """The thing that `asdict` described, with the lists that JSON makes of its corners."""
        corners = {key: tuple(record[key]) for key in ("lower", "upper")}
        return cls(**{**record, **corners})


@dataclass(frozen=True, eq=False)
class Scene:
    """V vertices and F triangles; triangles lie together by object and, within it, by texture.

    Attributes:
        positions: (V, 3) float32 metres, z up.
        normals: (V, 3) float32 unit.
        uvs: (V, 2) float32 in repeats of the texture; v = 0 is the image's top row.
        colours: (V, 3) float32 in 0..1, display space: baked light times tint.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        face_object: (F,) int32 index into `objects`.
        face_texture: (F,) int32 index into `textures`.
        textures: RGB images (H, W, 3) uint8 with power-of-two sides.
        texture_names: one per texture.
        objects: what the triangles belong to.
    """

    positions: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    colours: np.ndarray
    faces: np.ndarray
    face_object: np.ndarray
    face_texture: np.ndarray
    textures: tuple[np.ndarray, ...]
    texture_names: tuple[str, ...]
    objects: tuple[ObjectInfo, ...]

    def face_mask(self, *categories: str) -> np.ndarray:
        """(F,) bool: triangles of objects of these categories."""
        wanted = np.array([o.category in categories for o in self.objects], bool)
        return wanted[self.face_object]


def assemble(
    plan: FloorPlan,
    placed: Sequence[PlacedObject],
    style: Style,
    textures: dict[str, np.ndarray],
    contact_shadows: bool = False,
    compact: bool = False,
) -> Scene:
    """Walls, floors, windows and furniture as one unlit scene: vertex colours are the tints.

    Only the textures in use are kept, in alphabetical order. For `contact_shadows` the floors get
    more vertices round the furniture; a `compact` house has fewer on its walls.
    """
    from envs.houses.fine_floor import shadow_floor

    lay_floor = shadow_floor(placed) if contact_shadows else None
    detail = FEW_TRIANGLES if compact else FULL_DETAIL
    structure = build_structure(plan, style, lay_floor, detail)
    return scene_of_fixtures([*structure, *map(_fixture, placed)], textures)


def scene_of_fixtures(fixtures: Sequence[Fixture], textures: dict[str, np.ndarray]) -> Scene:
    """Flattens objects made of world-space parts; see `assemble`."""
    names = sorted({part.material.texture for fixture in fixtures for part in fixture.parts})
    missing = [name for name in names if name not in textures]
    if missing:
        raise KeyError(f"no texture called {missing[0]!r}; there are: {', '.join(textures)}")
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


_COLUMNS = ("positions", "normals", "uvs", "colours", "faces", "face_object", "face_texture")


def _append_part(
    columns: dict[str, list[np.ndarray]], part: Part, index: int, texture: int, first_vertex: int
) -> None:
    from envs.houses.textures import TEXTURE_SCALE

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
    from envs.houses.geometry import transform

    item = placed.item
    parts = transform(list(item.parts), angle=placed.angle, offset=placed.position)
    return Fixture(item.category, placed.room, tuple(parts), item.colour, item.material)
