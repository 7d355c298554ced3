"""RayTracer: colour, distance and object of the first surface along rays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    from clipnav.envs.models.scene import Scene

# Bit positions of red, green and blue in a packed texel.
_SHIFTS = np.array([0, 8, 16], np.uint32)
_BYTE = np.uint32(255)
_MIRROR_TEXTURE, GLASS_TEXTURE = "mirror", "glass"
SKY_RGB = (198, 220, 240)
_CHUNK = 32768  # rays per chunk, whose temporary arrays fit into the processor's cache
_MOST_PANES = 6  # largest number of consecutive glass surfaces that a ray passes
_GLASS_SHARE = 0.1  # share of a glass surface's own colour
_SURFACE_GAP = 1e-3  # metres between a surface and the start or end of a ray


class TextureAtlas:
    """Bilinear texture lookup in the mip level that fits the footprint of a pixel.

    Args:
        textures: RGB images (H, W, 3) uint8 whose sides are powers of two.
    """

    def __init__(self, textures: tuple[np.ndarray, ...]):
        blocks: list[np.ndarray] = []
        offsets, widths, heights, firsts, counts = [], [], [], [], []
        total = 0
        for number, texture in enumerate(textures):
            firsts.append(len(offsets))
            for level in _mip_levels(number, texture):
                offsets.append(total)
                heights.append(level.shape[0])
                widths.append(level.shape[1])
                total += level.shape[0] * level.shape[1]
                # One integer per texel, so that one gather reads a whole texel.
                channels = level.reshape(-1, 3).astype(np.uint32)
                blocks.append((channels << _SHIFTS).sum(axis=1, dtype=np.uint32))
            counts.append(len(offsets) - firsts[-1])
        self._texels = np.concatenate(blocks)
        self._offset = np.array(offsets, np.int32)
        self._width = np.array(widths, np.int32)
        self._height = np.array(heights, np.int32)
        self._first = np.array(firsts, np.int32)
        self._count = np.array(counts, np.int32)

    def sample(self, texture: np.ndarray, uv: np.ndarray, footprint: np.ndarray) -> np.ndarray:
        """Return filtered colours.

        Args:
            texture: (N,) index of each sample's texture.
            uv: (2, N) float32 periodic coordinates; v = 0 is the top row of the image.
            footprint: (N,) size of a pixel in texels of the full-size texture.

        Returns:
            (3, N) float32 in 0..255.
        """
        level = np.log2(np.maximum(footprint, 1.0)) + 0.3
        level = self._first[texture] + np.minimum(level.astype(np.int32), self._count[texture] - 1)
        level = level.astype(np.intp)  # converted once instead of by each gather
        width, height = self._width[level], self._height[level]
        x = uv[0] * width - np.float32(0.5)
        y = uv[1] * height - np.float32(0.5)
        column, row = np.floor(x), np.floor(y)
        fx, fy = (x - column).astype(np.float32), (y - row).astype(np.float32)
        column, row = column.astype(np.int32), row.astype(np.int32)
        left, right = column & (width - 1), (column + 1) & (width - 1)
        base = self._offset[level]
        top = base + (row & (height - 1)) * width
        bottom = base + ((row + 1) & (height - 1)) * width
        corners = (top + left, top + right, bottom + left, bottom + right)
        texels = [self._texels[corner] for corner in corners]
        colour = np.empty((3, len(footprint)), np.float32)
        # One channel at a time, because numpy is slow on arrays with a short last axis.
        for number, channel in enumerate(colour):
            shift = _SHIFTS[number]
            a, b, c, d = (((texel >> shift) & _BYTE).astype(np.float32) for texel in texels)
            channel[:] = _mix(_mix(a, b, fx), _mix(c, d, fx), fy)
        return colour


def _mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    b -= a
    b *= weight
    b += a
    return b


def _mip_levels(number: int, texture: np.ndarray) -> list[np.ndarray]:
    height, width = texture.shape[:2]
    if height & (height - 1) or width & (width - 1):
        raise UserError(
            f"texture {number} is {width}x{height}; make both sides a power of two (256, 512, ...)"
        )
    level = texture.astype(np.float32)
    levels = [texture]
    while min(level.shape[:2]) > 1:
        level = (level[::2] + level[1::2]) / 2
        level = (level[:, ::2] + level[:, 1::2]) / 2
        levels.append(np.rint(level).astype(np.uint8))
    return levels


@dataclass(frozen=True, eq=False)
class Hits:
    """First intersections of N rays.

    Attributes:
        rgb: (N, 3) uint8 colours.
        distance: (N,) float32 distance along the ray in metres, inf without an intersection.
        object_id: (N,) int32 index into `Scene.objects`, -1 without an intersection.
        face: (N,) int32 index into `Scene.faces`, -1 without an intersection.
    """

    rgb: np.ndarray
    distance: np.ndarray
    object_id: np.ndarray
    face: np.ndarray


class RayTracer:
    """Traces rays through a scene with Embree and shades them: texture times vertex colour.

    Surfaces with the texture "mirror" reflect once and surfaces with "glass" are transparent; hits
    on them keep the distance and object of the mirror or pane.
    """

    def __init__(self, scene: Scene):
        self.scene = scene
        corners = scene.positions[scene.faces]
        self._embree = embree_scene(corners)
        self._atlas = TextureAtlas(scene.textures)
        # (5, 3, F) float32: u, v, r, g, b at corner 0 and their steps to corners 1 and 2.
        table = np.concatenate([scene.uvs, scene.colours], axis=1)[scene.faces].astype(np.float32)
        table[:, 1:] -= table[:, :1]
        self._attributes = np.ascontiguousarray(table.transpose(2, 1, 0))
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.maximum(np.linalg.norm(cross, axis=1), 1e-12)
        self._normal = (cross / area[:, None]).astype(np.float32)
        self._texel_density = _texels_per_metre(scene, area)
        self._surface = _surface_classes(scene, self._normal)
        names = scene.texture_names
        self._mirror = names.index(_MIRROR_TEXTURE) if _MIRROR_TEXTURE in names else -1
        self._glass = names.index(GLASS_TEXTURE) if GLASS_TEXTURE in names else -1

    def trace(
        self, origins: np.ndarray, directions: np.ndarray, pixel_angle: float = 0.004
    ) -> Hits:
        """Return the first intersections of rays.

        Args:
            origins: (N, 3) or (3,) origins in metres.
            directions: (N, 3) unit vectors.
            pixel_angle: Angle of a pixel in radians, to whose footprint textures are filtered.
        """
        directions = np.ascontiguousarray(directions, np.float32)
        count = len(directions)
        origins = np.broadcast_to(np.asarray(origins, np.float32), (count, 3))
        found = Hits(
            np.empty((count, 3), np.uint8),
            np.empty(count, np.float32),
            np.empty(count, np.int32),
            np.empty(count, np.int32),
        )
        for start in range(0, count, _CHUNK):
            part = slice(start, start + _CHUNK)
            rays = origins[part], directions[part]
            hits = self._intersect(*rays)
            rgb, face = self._shade(hits, rays[1], pixel_angle), hits["primID"]
            if self._mirror >= 0:
                self._reflect(rgb, hits, *rays, pixel_angle)
            if self._glass >= 0:
                self._see_through(rgb, hits, *rays, pixel_angle)
            found.rgb[part], found.face[part] = rgb, face
            found.distance[part] = np.where(face < 0, np.inf, hits["tfar"])
            found.object_id[part] = np.where(face < 0, -1, self.scene.face_object[face])
        return found

    def distances(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the (N,) float32 distances of `trace`, without colours."""
        distance = np.empty(len(directions), np.float32)
        for part, hits in self._hits(origins, directions):
            distance[part] = np.where(hits["primID"] < 0, np.inf, hits["tfar"])
        return distance

    def first_hits(
        self, origins: np.ndarray, directions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances (N,) float32 and objects (N,) int32 of `trace`, without colours."""
        distance = np.empty(len(directions), np.float32)
        object_id = np.empty(len(directions), np.int32)
        for part, hits in self._hits(origins, directions):
            face = hits["primID"]
            distance[part] = np.where(face < 0, np.inf, hits["tfar"])
            object_id[part] = np.where(face < 0, -1, self.scene.face_object[face])
        return distance, object_id

    def _hits(
        self, origins: np.ndarray, directions: np.ndarray
    ) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Yield the intersections of rays in chunks.

        Args:
            origins: (N, 3) or (3,) origins in metres.
            directions: (N, 3) unit vectors.
        """
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.broadcast_to(np.asarray(origins, np.float32), directions.shape)
        for start in range(0, len(directions), _CHUNK):
            part = slice(start, start + _CHUNK)
            yield part, self._intersect(origins[part], directions[part])

    def occluded(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return (N,) bool, whether a surface is between points a and b, each (N, 3) in metres."""
        a, b = np.broadcast_arrays(np.asarray(a, np.float32), np.asarray(b, np.float32))
        return segments_occluded(self._embree, a, b)

    def surface_class(self, face: np.ndarray) -> np.ndarray:
        """Return (N,) int32 labels, equal for faces of one smooth surface; -1 for no face."""
        return np.where(face < 0, -1, self._surface[face])

    def _intersect(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        return self._embree.run(
            np.ascontiguousarray(origins), directions, query="INTERSECT", output=True
        )

    def _shade(
        self, hits: dict[str, np.ndarray], directions: np.ndarray, pixel_angle: float
    ) -> np.ndarray:
        """Return the (N, 3) uint8 colours of intersections."""
        face = hits["primID"].astype(np.intp)  # converted once instead of by each gather
        # One attribute at a time, because numpy is slow on arrays with a short last axis.
        values = np.empty((len(self._attributes), len(face)), np.float32)  # (5, N)
        for value, (start, to_second, to_third) in zip(values, self._attributes, strict=True):
            np.multiply(to_second[face], hits["u"], out=value)
            value += to_third[face] * hits["v"]
            value += start[face]
        cosine = np.abs(np.einsum("ij,ij->i", self._normal[face], directions))
        # The geometric mean of the long and short side of a slanted pixel is sharper than
        # mip-mapping by the long side, and shows little aliasing on floors at a grazing angle.
        footprint = hits["tfar"] * pixel_angle / np.sqrt(np.maximum(cosine, 0.05))
        footprint *= self._texel_density[face]
        colour = self._atlas.sample(self.scene.face_texture[face], values[:2], footprint)
        colour *= values[2:]
        colour += 0.5
        rgb = np.empty((len(face), 3), np.uint8)
        rgb.T[:] = colour  # truncates the fraction
        rgb[face < 0] = SKY_RGB
        return rgb

    def _reflect(
        self,
        rgb: np.ndarray,
        hits: dict[str, np.ndarray],
        origins: np.ndarray,
        directions: np.ndarray,
        pixel_angle: float,
    ) -> None:
        face = hits["primID"]
        rows = np.flatnonzero((face >= 0) & (self.scene.face_texture[face] == self._mirror))
        if not len(rows):
            return
        normal = self._normal[face[rows]]
        incoming = directions[rows]
        along = np.einsum("ij,ij->i", normal, incoming)[:, None]
        outgoing = np.ascontiguousarray(incoming - 2 * along * normal)
        points = origins[rows] + incoming * hits["tfar"][rows, None] + outgoing * _SURFACE_GAP
        reflected_hits = self._intersect(points, outgoing)
        reflected = self._shade(reflected_hits, outgoing, pixel_angle * 2)
        rgb[rows] = (0.88 * reflected + 0.12 * rgb[rows]).astype(np.uint8)

    def _see_through(
        self,
        rgb: np.ndarray,
        hits: dict[str, np.ndarray],
        origins: np.ndarray,
        directions: np.ndarray,
        pixel_angle: float,
    ) -> None:
        rows = self._glass_rows(hits)
        if not len(rows):
            return
        rays = np.ascontiguousarray(directions[rows])
        points = origins[rows] + rays * (hits["tfar"][rows, None] + _SURFACE_GAP)
        behind = self._intersect(points, rays)
        transmittance = np.full((len(rows), 1), 1 - _GLASS_SHARE, np.float32)
        for _ in range(_MOST_PANES - 1):
            panes = self._glass_rows(behind)
            if not len(panes):
                break
            transmittance[panes] *= 1 - _GLASS_SHARE
            points[panes] += rays[panes] * (behind["tfar"][panes, None] + _SURFACE_GAP)
            beyond = self._intersect(points[panes], rays[panes])
            for key, values in beyond.items():
                behind[key][panes] = values
        transmitted = self._shade(behind, rays, pixel_angle)
        rgb[rows] = (transmittance * transmitted + (1 - transmittance) * rgb[rows]).astype(np.uint8)

    def _glass_rows(self, hits: dict[str, np.ndarray]) -> np.ndarray:
        face = hits["primID"]
        return np.flatnonzero((face >= 0) & (self.scene.face_texture[face] == self._glass))


def embree_scene(corners: np.ndarray):
    """Build an Embree scene of triangles (F, 3, 3) in metres."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(corners, np.float32))
    return scene


def segments_occluded(embree, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (N,) bool, whether a surface intersects segments from a to b, (N, 3) float32 each.

    Surfaces at the ends of a segment are ignored.
    """
    offsets = b - a
    length = np.maximum(np.linalg.norm(offsets, axis=1), 1e-6)
    directions = np.ascontiguousarray(offsets / length[:, None], np.float32)
    starts = np.ascontiguousarray(a + directions * _SURFACE_GAP, np.float32)
    reach = np.maximum(length - 2 * _SURFACE_GAP, 1e-6).astype(np.float32)
    return embree.run(starts, directions, dists=reach, query="OCCLUDED") != -1


def _texels_per_metre(scene: Scene, doubled_area: np.ndarray) -> np.ndarray:
    """Return the (F,) float32 number of texels per metre of each triangle."""
    uv = scene.uvs[scene.faces]
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    uv_area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    texels = np.array([t.shape[0] * t.shape[1] for t in scene.textures], float)
    return np.sqrt(uv_area * texels[scene.face_texture] / doubled_area).astype(np.float32)


def _surface_classes(scene: Scene, normal: np.ndarray) -> np.ndarray:
    """Return (F,) int32 labels for combinations of object, texture and coarse direction."""
    steps = np.rint(normal * 1.6).astype(np.int64) + 2
    key = scene.face_object.astype(np.int64) * len(scene.textures) + scene.face_texture
    key = ((key * 5 + steps[:, 0]) * 5 + steps[:, 1]) * 5 + steps[:, 2]
    return np.unique(key, return_inverse=True)[1].astype(np.int32)
