"""A building as flat arrays of triangles, textures and named objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Point = tuple[float, float, float]


@dataclass(frozen=True)
class ObjectInfo:
    """Description of an object in a building and its axis-aligned bounding box in metres.

    Attributes:
        index: Index in `Scene.objects`, and value in object-id images.
        category: Plain English noun, such as "sofa".
        colour: Plain English name of the dominant colour, or "".
        material: "wooden", "leather", ... or "".
        room: Index of its room, -1 outside or between rooms.
        lower: Minimum x, y, z of its box.
        upper: Maximum x, y, z of its box.
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
        """Return the object of an `asdict` record, whose corners may be lists as in JSON."""
        corners = {key: tuple(record[key]) for key in ("lower", "upper")}
        return cls(**{**record, **corners})


@dataclass(frozen=True, eq=False)
class Scene:
    """V vertices and F triangles, sorted by object and, within an object, by texture.

    Attributes:
        positions: (V, 3) float32 metres, z up.
        normals: (V, 3) float32 unit vectors.
        uvs: (V, 2) float32 in repeats of the texture; v = 0 is the image's top row.
        colours: (V, 3) float32 in 0..1, display space: baked light times tint.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        face_object: (F,) int32 index into `objects`.
        face_texture: (F,) int32 index into `textures`.
        textures: RGB images (H, W, 3) uint8 with power-of-two sides.
        texture_names: Name of each texture.
        objects: The objects that the triangles belong to.
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
        """Return a mask (F,) bool of the triangles of objects of these categories."""
        wanted = np.array([o.category in categories for o in self.objects], bool)
        return wanted[self.face_object]
