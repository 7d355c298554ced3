"""Rays against a house: colour, distance and object of what they meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from envs.panoramas.texture_atlas import TextureAtlas

if TYPE_CHECKING:
    from envs.houses.meshes.scene import Scene

MIRROR_TEXTURE, GLASS_TEXTURE = "mirror", "glass"
SKY_RGB = (198, 220, 240)

_CHUNK = 32768  # rays at a time: the temporaries of one chunk stay in the processor's cache
_MOST_PANES = 6  # surfaces of glass that a ray passes, one behind the other
_GLASS_SHARE = 0.1  # of such a surface's own colour in what one sees through it
_SURFACE_GAP = 1e-3  # metres that a ray starts off, or stops short of, a surface


@dataclass(frozen=True, eq=False)
class Hits:
    """What N rays met.

    Attributes:
        rgb: (N, 3) uint8.
        distance: (N,) float32 metres along the ray, inf where it met nothing.
        object_id: (N,) int32 index into `Scene.objects`, -1 where it met nothing.
        face: (N,) int32 index into `Scene.faces`, -1 where it met nothing.
    """

    rgb: np.ndarray
    distance: np.ndarray
    object_id: np.ndarray
    face: np.ndarray


class RayTracer:
    """Traces rays through a scene with Embree and shades them: texture times vertex colour.

    Surfaces with the texture "mirror" reflect once, those with "glass" let one see through; their
    distance and object stay the mirror's or the pane's.
    """

    def __init__(self, scene: Scene):
        self.scene = scene
        corners = scene.positions[scene.faces]
        self._embree = embree_scene(corners)
        self._atlas = TextureAtlas(scene.textures)
        self._attributes = _interpolation_table(scene)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.maximum(np.linalg.norm(cross, axis=1), 1e-12)
        self._normal = (cross / area[:, None]).astype(np.float32)
        self._texel_density = _texels_per_metre(scene, area)
        self._surface = _surface_classes(scene, self._normal)
        names = scene.texture_names
        self._mirror = names.index(MIRROR_TEXTURE) if MIRROR_TEXTURE in names else -1
        self._glass = names.index(GLASS_TEXTURE) if GLASS_TEXTURE in names else -1

    def trace(
        self, origins: np.ndarray, directions: np.ndarray, pixel_angle: float = 0.004
    ) -> Hits:
        """First hits.

        Args:
            origins: (N, 3) or (3,) metres.
            directions: (N, 3) unit vectors.
            pixel_angle: radians that a pixel spans; textures are filtered to this footprint.
        """
        directions = np.ascontiguousarray(directions, np.float32)
        count = len(directions)
        origins = np.broadcast_to(np.asarray(origins, np.float32), (count, 3))
        hits = Hits(
            np.empty((count, 3), np.uint8),
            np.empty(count, np.float32),
            np.empty(count, np.int32),
            np.empty(count, np.int32),
        )
        for start in range(0, count, _CHUNK):
            part = slice(start, start + _CHUNK)
            self._trace_chunk(origins[part], directions[part], pixel_angle, hits, part)
        return hits

    def occluded(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """(N,) bool: whether anything lies between points a and b, each (N, 3) metres."""
        a, b = np.broadcast_arrays(np.asarray(a, np.float32), np.asarray(b, np.float32))
        return segments_occluded(self._embree, a, b)

    def surface_class(self, face: np.ndarray) -> np.ndarray:
        """(N,) int32 equal for neighbouring faces that show one smooth surface; -1 for no face."""
        return np.where(face < 0, -1, self._surface[face])

    def _trace_chunk(
        self,
        origins: np.ndarray,
        directions: np.ndarray,
        pixel_angle: float,
        out: Hits,
        part: slice,
    ) -> None:
        found = self._intersect(origins, directions)
        rgb = self._shade(found, directions, pixel_angle)
        face = found["primID"]
        if self._mirror >= 0:
            self._reflect(rgb, found, origins, directions, pixel_angle)
        if self._glass >= 0:
            self._see_through(rgb, found, origins, directions, pixel_angle)
        out.rgb[part] = rgb
        out.face[part] = face
        out.distance[part] = np.where(face < 0, np.inf, found["tfar"])
        out.object_id[part] = np.where(face < 0, -1, self.scene.face_object[face])

    def _intersect(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        return self._embree.run(
            np.ascontiguousarray(origins), directions, query="INTERSECT", output=True
        )

    def _shade(
        self, found: dict[str, np.ndarray], directions: np.ndarray, pixel_angle: float
    ) -> np.ndarray:
        """(N, 3) uint8."""
        face = found["primID"].astype(np.intp)  # once, where each gather would do it
        # One attribute after another: numpy is slow where the last axis has but a few numbers.
        values = np.empty((len(self._attributes), len(face)), np.float32)  # (5, N)
        for value, (start, to_second, to_third) in zip(values, self._attributes, strict=True):
            np.multiply(to_second[face], found["u"], out=value)
            value += to_third[face] * found["v"]
            value += start[face]
        cosine = np.abs(np.einsum("ij,ij->i", self._normal[face], directions))
        # The geometric mean of a slanted pixel's long and short side: sharper than mip-mapping
        # by the long side, and calm enough on floors seen at a grazing angle.
        footprint = found["tfar"] * pixel_angle / np.sqrt(np.maximum(cosine, 0.05))
        footprint *= self._texel_density[face]
        colour = self._atlas.sample(self.scene.face_texture[face], values[:2], footprint)
        colour *= values[2:]
        colour += 0.5
        rgb = np.empty((len(face), 3), np.uint8)
        rgb.T[:] = colour  # cuts off what is behind the point
        rgb[face < 0] = SKY_RGB
        return rgb

    def _reflect(
        self,
        rgb: np.ndarray,
        found: dict[str, np.ndarray],
        origins: np.ndarray,
        directions: np.ndarray,
        pixel_angle: float,
    ) -> None:
        face = found["primID"]
        rows = np.flatnonzero((face >= 0) & (self.scene.face_texture[face] == self._mirror))
        if not len(rows):
            return
        normal = self._normal[face[rows]]
        incoming = directions[rows]
        along = np.einsum("ij,ij->i", normal, incoming)[:, None]
        outgoing = np.ascontiguousarray(incoming - 2 * along * normal)
        points = origins[rows] + incoming * found["tfar"][rows, None] + outgoing * _SURFACE_GAP
        seen = self._intersect(points, outgoing)
        reflected = self._shade(seen, outgoing, pixel_angle * 2)
        rgb[rows] = (0.88 * reflected + 0.12 * rgb[rows]).astype(np.uint8)

    def _see_through(
        self,
        rgb: np.ndarray,
        found: dict[str, np.ndarray],
        origins: np.ndarray,
        directions: np.ndarray,
        pixel_angle: float,
    ) -> None:
        rows = self._glass_rows(found)
        if not len(rows):
            return
        ways = np.ascontiguousarray(directions[rows])
        points = origins[rows] + ways * (found["tfar"][rows, None] + _SURFACE_GAP)
        seen = self._intersect(points, ways)
        clearness = np.full((len(rows), 1), 1 - _GLASS_SHARE, np.float32)
        for _ in range(_MOST_PANES - 1):
            panes = self._glass_rows(seen)
            if not len(panes):
                break
            clearness[panes] *= 1 - _GLASS_SHARE
            points[panes] += ways[panes] * (seen["tfar"][panes, None] + _SURFACE_GAP)
            beyond = self._intersect(points[panes], ways[panes])
            for key, values in beyond.items():
                seen[key][panes] = values
        behind = self._shade(seen, ways, pixel_angle)
        rgb[rows] = (clearness * behind + (1 - clearness) * rgb[rows]).astype(np.uint8)

    def _glass_rows(self, found: dict[str, np.ndarray]) -> np.ndarray:
        face = found["primID"]
        return np.flatnonzero((face >= 0) & (self.scene.face_texture[face] == self._glass))


def embree_scene(corners: np.ndarray):
    """An Embree scene of triangles (F, 3, 3) in metres."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(corners, np.float32))
    return scene


def segments_occluded(embree, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) bool for segments from a to b, each (N, 3) float32; what lies at the ends is ignored."""
    towards = b - a
    length = np.maximum(np.linalg.norm(towards, axis=1), 1e-6)
    towards = np.ascontiguousarray(towards / length[:, None], np.float32)
    starts = np.ascontiguousarray(a + towards * _SURFACE_GAP, np.float32)
    reach = np.maximum(length - 2 * _SURFACE_GAP, 1e-6).astype(np.float32)
    return embree.run(starts, towards, dists=reach, query="OCCLUDED") != -1


def _interpolation_table(scene: Scene) -> np.ndarray:
    """(5, 3, F) float32: u, v, r, g, b as value at corner 0 and steps to corners 1 and 2."""
    corners = np.concatenate([scene.uvs, scene.colours], axis=1)[scene.faces]
    table = corners.astype(np.float32)
    table[:, 1:] -= table[:, :1]
    return np.ascontiguousarray(table.transpose(2, 1, 0))


def _texels_per_metre(scene: Scene, doubled_area: np.ndarray) -> np.ndarray:
    """(F,) float32: how many texels of its texture lie on a metre of each triangle."""
    uv = scene.uvs[scene.faces]
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    uv_area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    texels = np.array([t.shape[0] * t.shape[1] for t in scene.textures], float)
    return np.sqrt(uv_area * texels[scene.face_texture] / doubled_area).astype(np.float32)


def _surface_classes(scene: Scene, normal: np.ndarray) -> np.ndarray:
    """(F,) int32: number of each triangle's combination of object, texture and rough direction."""
    steps = np.rint(normal * 1.6).astype(np.int64) + 2
    key = scene.face_object.astype(np.int64) * len(scene.textures) + scene.face_texture
    key = ((key * 5 + steps[:, 0]) * 5 + steps[:, 1]) * 5 + steps[:, 2]
    return np.unique(key, return_inverse=True)[1].astype(np.int32)
