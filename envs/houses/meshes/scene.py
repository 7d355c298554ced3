"""A house as flat arrays of triangles, textures and named objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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
