"""Triangle meshes of one material: construction from points, joining and transformation."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Material:
    """Appearance of a surface.

    Attributes:
        texture: Name of a texture of `clipnav.envs.houses.materials.textures`.
        tint: Red, green and blue factors in display space, 0..1, that multiply the texture.
    """

    texture: str
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Part:
    """A triangle mesh of one material.

    Attributes:
        positions: Vertices `(N, 3)` in metres.
        normals: Outward unit vertex normals `(N, 3)`.
        uvs: Texture coordinates `(N, 2)`.
        faces: Vertex indices `(M, 3)`, counter-clockwise seen from outside.
        material: Texture and tint.
    """

    positions: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray
    material: Material


def lattice(
    p: np.ndarray, normals: np.ndarray, uvs: np.ndarray, material: Material, flip: bool = False
) -> Part:
    """Build triangles over a lattice `(m, n)` of vertices; leave out those of zero area.

    The front side is (change with m) x (change with n), or the opposite side if `flip`.
    """
    m, n = p.shape[:2]
    index = np.arange(m * n).reshape(m, n)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    if flip:
        faces = faces[:, ::-1]
    positions = p.reshape(-1, 3)
    corners = positions[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    faces = faces[np.linalg.norm(area, axis=1) > 1e-12]
    return Part(positions, normals.reshape(-1, 3), uvs.reshape(-1, 2), faces, material)


def polygon(ring: np.ndarray, normal: np.ndarray, material: Material) -> Part:
    """Build a convex polygon through the points `ring` `(K, 3)` that faces `normal`."""
    fan = np.arange(1, len(ring) - 1)
    faces = np.stack([np.zeros_like(fan), fan, fan + 1], 1)
    if np.cross(ring[1] - ring[0], ring[2] - ring[0]) @ normal < 0:
        faces = faces[:, ::-1]
    uvs = np.delete(ring, np.abs(normal).argmax(), axis=1)
    return Part(ring, np.tile(normal, (len(ring), 1)), uvs, faces, material)


def sheet(
    points: np.ndarray, material: Material, uvs: np.ndarray, thickness: float | None = None
) -> Part:
    """Build a smooth surface through a lattice of points."""
    cells = np.cross(points[1:, 1:] - points[:-1, :-1], points[:-1, 1:] - points[1:, :-1])
    total = np.zeros_like(points)
    for rows in (slice(None, -1), slice(1, None)):
        for columns in (slice(None, -1), slice(1, None)):
            total[rows, columns] += cells
    normals = total / np.maximum(np.linalg.norm(total, axis=-1, keepdims=True), 1e-12)
    front = lattice(points, normals, uvs, material)
    if thickness is None:
        return front
    back = lattice(points - thickness * normals, -normals, uvs, material, flip=True)
    return join([front, back])


def join(parts: Sequence[Part]) -> Part:
    """Join several parts into one with the material of the first."""
    starts = np.cumsum([0] + [len(part.positions) for part in parts[:-1]])
    return Part(
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.uvs for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]),
        parts[0].material,
    )


def transform(
    parts: Iterable[Part], angle: float = 0.0, offset: ArrayLike = (0, 0, 0), axis: str = "z"
) -> list[Part]:
    """Rotate parts counter-clockwise by `angle` radians about an axis, then shift them."""
    u, v = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    rotation = np.eye(3)
    rotation[[u, v], [u, v]] = np.cos(angle)
    rotation[u, v], rotation[v, u] = -np.sin(angle), np.sin(angle)
    shift = np.asarray(offset, float)
    return [
        replace(
            part, positions=part.positions @ rotation.T + shift, normals=part.normals @ rotation.T
        )
        for part in parts
    ]


def stretch(parts: Iterable[Part], factors: ArrayLike, offset: ArrayLike = (0, 0, 0)) -> list[Part]:
    """Scale parts along x, y and z by positive factors, then shift them."""
    scale, shift = np.asarray(factors, float), np.asarray(offset, float)
    stretched = []
    for part in parts:
        normals = part.normals / scale
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        stretched.append(replace(part, positions=part.positions * scale + shift, normals=normals))
    return stretched


def bounds(parts: Iterable[Part]) -> np.ndarray:
    """Return the lower and the upper corner `(2, 3)` of the bounding box of all parts."""
    boxes = [(part.positions.min(0), part.positions.max(0)) for part in parts]
    return np.array([np.min([b[0] for b in boxes], 0), np.max([b[1] for b in boxes], 0)])
