"""Light of a house, computed once with Embree and stored in the vertex colours.

Lamps and windows light every surface point directly; then light bounces along one set of traced
rays. All surfaces are matt. `_display` converts amounts of light to display-space factors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.lighting.lights import Light, glowing_faces
from clipnav.envs.houses.materials.colours import to_linear
from clipnav.envs.houses.shell.fixture import OUTSIDE
from clipnav.envs.panoramas.ray_tracer import GLASS_TEXTURE, embree_scene, segments_occluded

if TYPE_CHECKING:
    from clipnav.envs.houses.lighting.lights import Light
    from clipnav.envs.models.scene import Scene


SKY_RGB = np.array([0.86, 0.95, 1.08])
_GRASS_RGB = np.array([0.30, 0.36, 0.20])

_LIFT = 0.003  # height in metres of ray origins above a surface
_INSET = 0.03  # distance in metres of ray origins from the border of a surface
_NEGLIGIBLE = 8e-3  # direct light below which no shadow ray is traced: some 11 m away
_NEAREST = 0.05  # squared distance in m2 below which light does not increase further
_CLOSE = 0.4  # metres within which another surface counts as close
_BURIED = 0.5  # a point is inside a solid if a larger share of its rays hits backs of surfaces
_BAKE_TAG = 41
_MOST_REFLECTING = 0.82  # maximum albedo, as white paint absorbs light too; keeps contrast in rooms
_BOUNCES = 4  # of light along the rays
_SMOOTHING_ROUNDS = 1
# Vertices are too sparse for the thin shadow under a chair's leg: points are darkened by this share
# of their closeness to other surfaces.
_CONTACT_SHADOW = 0.65
_MEDIAN_LIGHT = 0.55  # on floors and walls, in the units of `_display`


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Surroundings of N points.

    Attributes:
        hit: (rays, N) int32 face that each ray hits, -1 for none.
        closeness: (N,) closeness of other surfaces to the point, 0..1.
        buried: (N,) bool, whether the point is inside a solid.
    """

    hit: np.ndarray
    closeness: np.ndarray
    buried: np.ndarray


class Surfels:
    """Surface points; vertices with equal object, position and normal share one.

    Attributes:
        of_vertex: (V,) int index of each vertex's surface point.

    Args:
        solid: (F,) bool mask of the faces that block light.
    """

    def __init__(self, scene: Scene, solid: np.ndarray):
        vertex_object = np.zeros(len(scene.positions), np.int64)
        vertex_object[scene.faces] = scene.face_object[:, None]
        key = np.column_stack(
            [
                np.rint(scene.positions * 2000).astype(np.int64),
                np.rint(scene.normals * 16).astype(np.int64),
                vertex_object,
            ]
        )
        _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
        self.of_vertex = group.ravel()
        self._faces = self.of_vertex[scene.faces]
        self._normals = _unit(scene.normals[first].astype(float)).astype(np.float32)
        corners = scene.positions[scene.faces]
        origins = self._inset(scene.positions[first].astype(float), corners.mean(axis=1))
        self._origins = origins.astype(np.float32)
        self._solid = np.flatnonzero(solid)
        self._embree = embree_scene(corners[self._solid])
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self._face_normals = _unit(cross[self._solid]).astype(np.float32)

    def __len__(self) -> int:
        return len(self._normals)

    def receive(self, light: Light) -> np.ndarray:
        """Return the direct light (N, 3) of a lamp or window at each point."""
        received = np.zeros((len(self), 3), np.float32)
        share = (light.power / (np.pi * len(light.points))).astype(np.float32)
        # Most surfaces are in other rooms: those that see none of every third point see no other.
        is_first = np.arange(len(light.points)) % 3 == 0
        sees, rows = np.zeros(len(self), bool), np.arange(len(self))
        for chosen in (is_first, ~is_first):
            origins, normals = self._origins[rows], self._normals[rows]
            for point, facing in zip(light.points[chosen], light.normals[chosen], strict=True):
                towards = point.astype(np.float32) - origins
                squared = np.maximum(np.einsum("ij,ij->i", towards, towards), 1e-9)
                incoming = np.einsum("ij,ij->i", towards, normals)
                outgoing = -towards @ facing.astype(np.float32)
                amount = incoming * outgoing / squared / np.maximum(squared, _NEAREST)
                lit = np.flatnonzero((incoming > 0) & (outgoing > 0) & (amount > _NEGLIGIBLE))
                ends = np.broadcast_to(point.astype(np.float32), (len(lit), 3))
                lit = lit[~segments_occluded(self._embree, origins[lit], ends)]
                colour = _sky(towards[lit, 2] / np.sqrt(squared[lit])) if light.is_sky else 1.0
                received[rows[lit]] += amount[lit, None] * share * colour
                sees[rows[lit]] = True
            rows = np.flatnonzero(sees)
        return received

    def gather(self, rng: np.random.Generator, rays: int) -> Surroundings:
        """Trace cosine-weighted rays from every point."""
        helper = np.where(np.abs(self._normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
        tangent = _unit(np.cross(helper, self._normals))
        bitangent = np.cross(self._normals, tangent)
        turn = rng.random((2, len(self)))
        hit = np.empty((rays, len(self)), np.int32)
        backs, closeness = np.zeros(len(self)), np.zeros(len(self))
        for k in range(rays):
            u = ((k + 0.5) / rays + turn[0]) % 1
            angle = 2 * np.pi * ((k * 0.618034 + turn[1]) % 1)
            radius = np.sqrt(u)[:, None]
            directions = (
                radius * np.cos(angle)[:, None] * tangent
                + radius * np.sin(angle)[:, None] * bitangent
                + np.sqrt(1 - u)[:, None] * self._normals
            ).astype(np.float32)
            hits = self._embree.run(self._origins, directions, query="INTERSECT", output=True)
            face = hits["primID"]
            met = face >= 0
            # `take` is faster than an index; face -1 is the last row, which `met` excludes.
            normals = self._face_normals.take(face, axis=0, mode="wrap")
            away = np.einsum("ij,ij->i", normals, directions) > 0
            backs += met & away
            closeness += np.where(met, np.clip(1 - hits["tfar"] / _CLOSE, 0, 1), 0)
            hit[k] = np.where(met, self._solid[face], -1)
        return Surroundings(hit, closeness / rays, backs > _BURIED * rays)

    def face_mean(self, light: np.ndarray) -> np.ndarray:
        """Return the mean (F, 3) of light (N, 3) over the corners of each face."""
        return light.take(self._faces, axis=0).mean(axis=1)

    def mean_along(self, sent: np.ndarray, hit: np.ndarray) -> np.ndarray:
        """Return the light (N, 3) received if faces emit `sent` (F, 3) along the rays `hit`."""
        padded = np.vstack([sent, np.zeros(3)]).astype(np.float32)  # face -1 is this last row
        total = np.zeros((len(self), 3), np.float32)
        for faces in hit:
            total += padded.take(faces, axis=0, mode="wrap")
        return total.astype(float) / len(hit)

    def smooth(self, light: np.ndarray, buried: np.ndarray, rounds: int) -> np.ndarray:
        """Average light (N, 3) over mesh edges; buried points take the light around them."""
        weight = np.where(buried, 1e-6, 1.0)
        for _ in range(rounds):
            total, count = light * weight[:, None] * 2, weight * 2
            for a, b in ((0, 1), (1, 2), (2, 0)):
                for source, target in ((a, b), (b, a)):
                    source_index, target_index = self._faces[:, source], self._faces[:, target]
                    count += np.bincount(target_index, weight[source_index], len(self))
                    for channel in range(3):
                        values = light[source_index, channel] * weight[source_index]
                        total[:, channel] += np.bincount(target_index, values, len(self))
            light = total / count[:, None]
            weight = np.maximum(weight, np.minimum(1.0, count / 8))
        return light

    def _inset(self, positions: np.ndarray, face_centres: np.ndarray) -> np.ndarray:
        """Return ray origins: above the surface, inside its border that others may cover."""
        count = np.maximum(np.bincount(self._faces.ravel(), minlength=len(positions)), 1)
        middle = np.stack(
            [
                np.bincount(
                    self._faces.ravel(), np.repeat(face_centres[:, axis], 3), len(positions)
                )
                for axis in range(3)
            ],
            axis=1,
        )
        inward = middle / count[:, None] - positions
        inward -= np.einsum("ij,ij->i", inward, self._normals)[:, None] * self._normals
        distance = np.linalg.norm(inward, axis=1, keepdims=True)
        step = np.minimum(_INSET, 0.6 * distance) / np.maximum(distance, 1e-9)
        return positions + step * inward + _LIFT * self._normals


def _sky(rise: np.ndarray) -> np.ndarray:
    """Return the colour (N, 3) of the outside at the sine `rise` (N,) of the elevation."""
    return np.where(rise[:, None] > -0.03, SKY_RGB, _GRASS_RGB).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def bake(scene: Scene, lights: list[Light], seed: int, rays: int = 64) -> Scene:
    """Multiply the tints of a scene by baked light.

    Args:
        scene: Unlit scene. Objects of category "outside" and panes of clear glass neither cast
            shadows nor receive light.
    """
    rng = np.random.default_rng([seed, _BAKE_TAG])
    solid = ~scene.face_mask(OUTSIDE) & (_texture(scene, GLASS_TEXTURE) != scene.face_texture)
    glowing = glowing_faces(scene)
    surfels = Surfels(scene, solid)
    direct = np.zeros((len(surfels), 3))
    for light in lights:
        direct += surfels.receive(light)
    textures = np.array(
        [to_linear(texture.reshape(-1, 3) / 255.0).mean(axis=0) for texture in scene.textures]
    )
    tint = to_linear(scene.colours[scene.faces[:, 0]].astype(float))
    albedo = np.where(
        glowing[:, None], 0.0, np.minimum(textures[scene.face_texture] * tint, _MOST_REFLECTING)
    )
    around = surfels.gather(rng, rays)
    light = direct
    for _ in range(_BOUNCES):
        light = direct + surfels.mean_along(albedo * surfels.face_mean(light), around.hit)
    light = light * (1 - _CONTACT_SHADOW * around.closeness[:, None])
    light = surfels.smooth(light, around.buried, _SMOOTHING_ROUNDS)
    factor = _display(light * _exposure(scene, surfels, light))[surfels.of_vertex]
    factor[np.unique(scene.faces[glowing | ~solid])] = 1.0
    colours = np.clip(scene.colours * factor, 0, 1)
    return replace(scene, colours=(np.rint(colours * 255) / 255).astype(np.float32))


def _texture(scene: Scene, name: str) -> int:
    """Return the index of a texture, or -1 if the scene does not have it."""
    return scene.texture_names.index(name) if name in scene.texture_names else -1


def _exposure(scene: Scene, surfels: Surfels, light: np.ndarray) -> float:
    """Return the factor that scales the median light on floors and walls to `_MEDIAN_LIGHT`."""
    structure = scene.face_mask("floor", "wall")
    if not structure.any():
        return 1.0
    levels = surfels.face_mean(light)[structure].mean(axis=1)
    return _MEDIAN_LIGHT / max(float(np.median(levels)), 1e-3)


def _display(light: np.ndarray) -> np.ndarray:
    """Return display-space factors (N, 3) with lifted shadows and compressed highlights."""
    return np.clip(1.25 * light / (0.5 + light), 0, 1) ** (1 / 2.2)
