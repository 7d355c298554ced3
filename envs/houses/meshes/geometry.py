"""Mesh primitives of furniture and buildings.

Frame: x right, y back, z up; metres. All faces are counter-clockwise seen from outside, in
agreement with the vertex normals. Texture coordinates are metres for tiling textures and 0..1 for
pictorial ones, where v increases downwards from the top row of the picture (glTF convention).
"""

import numpy as np
from numpy.typing import ArrayLike

from clipnav.envs.houses.meshes.mesh import (
    Material,
    Part,
    bounds,
    join,
    lattice,
    polygon,
    sheet,
    stretch,
    transform,
)

__all__ = [
    "Material",
    "Part",
    "bounds",
    "box",
    "cylinder",
    "frustum",
    "lathe",
    "polygon",
    "prism",
    "quad",
    "sheet",
    "sphere",
    "stretch",
    "transform",
    "tube",
]


def box(
    size: ArrayLike,
    material: Material,
    center: ArrayLike = (0, 0, 0),
    bevel: float = 0.0,
    segments: int = 1,
    cell: float = 0.5,
    puff: float = 0.0,
    faces: str = "xXyYzZ",
) -> Part:
    """Build a box with sharp or rounded edges."""
    half = np.asarray(size, float) / 2
    bevel = min(bevel, float(half.min()) * 0.98)
    middle, longest = np.asarray(center, float), int(half.argmax())
    sides = []
    for axis, name in enumerate("xyz"):
        for sign, letter in ((-1, name), (1, name.upper())):
            if letter not in faces:
                continue
            p, normals = _side(half, axis, sign, bevel, segments, cell)
            if puff:
                p, normals = _bulge(p, normals, half, puff)
            p = p + middle
            u, v = (axis + 1) % 3, (axis + 2) % 3
            along, across = (v, u) if v == longest else (u, v)
            uvs = np.stack([p[..., along], p[..., across]], -1)
            sides.append(lattice(p, normals, uvs, material, flip=sign < 0))
    return join(sides)


def _side(
    half: np.ndarray, axis: int, sign: int, bevel: float, segments: int, cell: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices and normals of the side of a box at the `sign` end of an axis."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    grid_u = _spacing(half[u], bevel, segments, cell)
    grid_v = _spacing(half[v], bevel, segments, cell)
    p = np.empty((len(grid_u), len(grid_v), 3))
    p[..., u], p[..., v], p[..., axis] = grid_u[:, None], grid_v, sign * half[axis]
    # Project the vertices of one side onto the rounded box; return positions and normals.
    if bevel <= 0:
        normals = np.zeros_like(p)
        normals[..., axis] = sign
        return p, normals
    core = np.clip(p, -(half - bevel), half - bevel)
    normals = (p - core) / np.linalg.norm(p - core, axis=-1, keepdims=True)
    return core + bevel * normals, normals


def _spacing(half: float, bevel: float, segments: int, cell: float) -> np.ndarray:
    """Return the coordinates of vertices along one extent, denser in the rounded ends."""
    flat = half - bevel
    inner = np.linspace(-flat, flat, max(1, int(np.ceil(2 * flat / cell - 1e-9))) + 1)
    if bevel <= 0:
        return inner
    ends = flat + bevel * np.sin(np.linspace(0, np.pi / 4, segments + 1))[1:] / np.sin(np.pi / 4)
    return np.concatenate([-ends[::-1], inner, ends])


def _bulge(
    p: np.ndarray, normals: np.ndarray, half: np.ndarray, puff: float
) -> tuple[np.ndarray, np.ndarray]:
    """Shift z by puff * (1 - x^2) * (1 - y^2) * z in half extents, with exact normals."""
    x, y, z = np.moveaxis(p / half, -1, 0)
    in_x, in_y = np.clip(1 - x**2, 0, 1), np.clip(1 - y**2, 0, 1)
    moved = p.copy()
    moved[..., 2] += puff * in_x * in_y * z
    slope_x, slope_y = puff * -2 * x / half[0] * in_y * z, puff * -2 * y / half[1] * in_x * z
    lift = normals[..., 2] / (1 + puff * in_x * in_y / half[2])
    turned = np.stack(
        [normals[..., 0] - slope_x * lift, normals[..., 1] - slope_y * lift, lift], -1
    )
    return moved, turned / np.linalg.norm(turned, axis=-1, keepdims=True)


def lathe(
    profile: ArrayLike,
    material: Material,
    center: ArrayLike = (0, 0, 0),
    sides: int = 16,
    crease: float = 0.7,
) -> Part:
    """Build a surface of revolution from a profile around the z axis.

    Args:
        profile: Points `(K, 2)` of (radius, height), ordered with the outside on the right:
            upwards on an outer wall, downwards on an inner one.
        crease: Angle in radians; sharper bends are shaded as edges.
    """
    points = np.asarray(profile, float)
    points = points[np.append(True, np.any(np.diff(points, axis=0), axis=1))]
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    slopes = np.stack([steps[:, 1], -steps[:, 0]], 1) / lengths[:, None]
    ends = np.repeat(slopes[:, None], 2, axis=1)
    gentle = (slopes[:-1] * slopes[1:]).sum(1) > np.cos(crease)
    mean = slopes[:-1] + slopes[1:]
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    ends[:-1, 1][gentle] = mean[gentle]
    ends[1:, 0][gentle] = mean[gentle]
    ring_normals, along = ends, np.append(0, np.cumsum(lengths))
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    cosine, sine = np.cos(turn), np.sin(turn)
    strips = []
    for k in range(len(steps)):
        radius, height = points[k : k + 2, :1], points[k : k + 2, 1:]
        p = np.stack([radius * cosine, radius * sine, np.broadcast_to(height, (2, sides + 1))], -1)
        out, up = ring_normals[k][:, :1], ring_normals[k][:, 1:]
        normals = np.stack([out * cosine, out * sine, np.broadcast_to(up, p.shape[:2])], -1)
        girth = turn * max(points[:, 0].max(), 0.02)
        uvs = np.stack(np.broadcast_arrays(girth, along[k : k + 2, None]), -1)
        strips.append(lattice(p + np.asarray(center, float), normals, uvs, material, flip=True))
    return join(strips)


def cylinder(
    radius: float,
    height: float,
    material: Material,
    center: ArrayLike = (0, 0, 0),
    top_radius: float | None = None,
    sides: int = 16,
) -> Part:
    """Build an upright closed cylinder or truncated cone; `center` is the centre of its base."""
    top = radius if top_radius is None else top_radius
    return lathe([(0, 0), (radius, 0), (top, height), (0, height)], material, center, sides)


def sphere(
    radius: float,
    material: Material,
    center: ArrayLike = (0, 0, 0),
    squash: ArrayLike = (1, 1, 1),
    sides: int = 12,
) -> Part:
    """Build a sphere that is scaled by the factors `squash` along x, y and z."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, sides // 2 + 1)
    profile = radius * np.stack([np.cos(latitude), np.sin(latitude)], 1)
    profile[[0, -1], 0] = 0
    return stretch([lathe(profile, material, sides=sides, crease=np.pi)], squash, center)[0]


def quad(
    origin: ArrayLike,
    edge_u: ArrayLike,
    edge_v: ArrayLike,
    material: Material,
    cell: float = 0.5,
    pictorial: bool = False,
) -> Part:
    """Build a parallelogram that faces along `edge_u` x `edge_v`."""
    corner, right, up = (np.asarray(a, float) for a in (origin, edge_u, edge_v))
    width, height = np.linalg.norm(right), np.linalg.norm(up)
    s = np.linspace(0, 1, max(1, int(np.ceil(width / cell - 1e-9))) + 1)[:, None, None]
    t = np.linspace(0, 1, max(1, int(np.ceil(height / cell - 1e-9))) + 1)[None, :, None]
    p = corner + s * right + t * up
    normal = np.cross(right, up)
    normals = np.broadcast_to(normal / np.linalg.norm(normal), p.shape)
    u, v = (s, 1 - t) if pictorial else (s * width, t * height)
    uvs = np.concatenate(np.broadcast_arrays(u, v), -1)
    return lattice(p, normals, uvs, material)


def tube(path: ArrayLike, radius: ArrayLike, material: Material, sides: int = 6) -> Part:
    """Build a closed round bar along the points `path` `(K, 3)`; `radius` is one number or K."""
    points = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), (len(points),))
    heading = np.gradient(points, axis=0)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    side = np.empty_like(points)
    previous = np.eye(3)[np.abs(heading[0]).argmin()]
    for k, forward in enumerate(heading):
        # Each cross-section starts from the previous one, so that the bar does not twist.
        previous = previous - forward * (previous @ forward)
        previous /= np.linalg.norm(previous)
        side[k] = previous
    turn = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
    normals = np.cos(turn) * side[:, None] + np.sin(turn) * np.cross(heading, side)[:, None]
    p = points[:, None] + radii[:, None, None] * normals
    along = np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    uvs = np.stack(np.broadcast_arrays(along[:, None], radii[:, None] * turn[:, 0]), -1)
    wall = lattice(p, normals, uvs, material, flip=True)
    ends = [polygon(p[0, :-1], -heading[0], material), polygon(p[-1, :-1], heading[-1], material)]
    return join([wall, *ends])


def frustum(
    base: ArrayLike,
    top: ArrayLike,
    height: float,
    material: Material,
    center: ArrayLike = (0, 0, 0),
) -> Part:
    """Build a truncated pyramid over a rectangle."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) / 2
    low = np.column_stack([corners * np.asarray(base, float), np.zeros(4)]) + np.asarray(center)
    high = np.column_stack([corners * np.asarray(top, float), np.full(4, height)]) + np.asarray(
        center
    )
    up = np.array([0, 0, 1.0])
    pieces = [polygon(low, -up, material), polygon(high, up, material)]
    for k in range(4):
        ring = np.stack([low[k], low[k - 3], high[k - 3], high[k]])
        normal = np.cross(ring[1] - ring[0], ring[3] - ring[0])
        pieces.append(polygon(ring, normal / np.linalg.norm(normal), material))
    return join(pieces)


def prism(outline: ArrayLike, height: float, material: Material, base: float = 0.0) -> Part:
    """Extrude a convex outline `(K, 2)`, counter-clockwise from above, upwards from z = `base`."""
    points = np.asarray(outline, float)
    low = np.column_stack([points, np.full(len(points), base)])
    rise, up = np.array([0, 0, height]), np.array([0, 0, 1.0])
    pieces = [polygon(low, -up, material), polygon(low + rise, up, material)]
    for start, end in zip(low, np.roll(low, -1, axis=0), strict=True):
        pieces.append(quad(start, end - start, rise, material))
    return join(pieces)
