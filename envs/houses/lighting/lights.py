"""Light sources of a house: lamps, fires and the sky through the windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from clipnav.envs.houses.plan.elements import Opening
    from clipnav.envs.houses.plan.floor_plan import FloorPlan
    from clipnav.envs.models.scene import ObjectInfo, Scene

_LAMP_RGB = np.array([1.0, 0.90, 0.76])
_FIRE_RGB = np.array([1.0, 0.55, 0.22])
_SKY_RADIANCE = 1.0  # the unit of light in this project

_LAMP_POINTS = 10
_WINDOW_GRID = (4, 4)
_OFF_SURFACE = 0.015  # metres between a lamp's surface and its light points

# Power of a ceiling lamp per square metre of floor, and of any other lamp, in units of the sky's
# radiance times square metres. Chosen by eye: evenly lit rooms in which windows remain noticeable.
_CEILING_POWER_PER_AREA = 0.42
_CEILING_POWER_LIMITS = (3.0, 9.0)
_LAMP_POWER = 1.6
_FIRE_POWER = 1.6
_DIFFUSED = 0.5  # share of a ceiling lamp's light that its shade diffuses evenly
_DIFFUSED_POINTS = 12


@dataclass(frozen=True, eq=False)
class Light:
    """An area light, sampled as points that emit light in the direction of their normals.

    Attributes:
        points: (S, 3) metres, spread over the light.
        normals: (S, 3) unit vectors, the direction of each point.
        power: (3,) RGB power of all points together.
        is_sky: Whether the light is a window; its colour depends on the direction.
    """

    points: np.ndarray
    normals: np.ndarray
    power: np.ndarray
    is_sky: bool = False


def find_lights(scene: Scene, plan: FloorPlan, rng: np.random.Generator) -> list[Light]:
    """Return the lights of all objects with glowing surfaces and of all windows."""
    windows = [opening for opening in plan.openings if opening.kind == "window"]
    return [*_lamps(scene, plan, rng), *(_window(opening, plan) for opening in windows)]


def glowing_faces(scene: Scene) -> np.ndarray:
    """Return a mask (F,) bool of the faces whose texture emits light."""
    from clipnav.envs.houses.materials.textures import EMISSIVE_TEXTURES

    return np.isin(np.array(scene.texture_names), list(EMISSIVE_TEXTURES))[scene.face_texture]


def _lamps(scene: Scene, plan: FloorPlan, rng: np.random.Generator) -> Iterator[Light]:
    glowing = np.flatnonzero(glowing_faces(scene))
    owner = scene.face_object[glowing]
    ceiling = [o for o in scene.objects if o.category == "ceiling light"]
    for index in np.unique(owner):
        info = scene.objects[index]
        points, normals = _spread(scene, glowing[owner == index], rng)
        sharing = sum(other.room == info.room for other in ceiling)
        power = _lamp_power(info, plan, max(1, sharing))
        if info.category == "ceiling light":
            yield Light(points, normals, power * (1 - _DIFFUSED))
            # The light that passes a lampshade: points on a sphere around the lamp.
            lower, upper = np.array(info.lower), np.array(info.upper)
            radius = float(max(upper[:2] - lower[:2])) / 2 + 0.1
            middle = (lower + upper) / 2
            middle[2] = min(lower[2] + radius, upper[2] - radius - 0.05)
            k = np.arange(_DIFFUSED_POINTS) + 0.5
            rise, turn = 1 - 2 * k / _DIFFUSED_POINTS, np.pi * (1 + np.sqrt(5)) * k
            flat = np.sqrt(1 - rise**2)
            outward = np.stack([flat * np.cos(turn), flat * np.sin(turn), rise], axis=1)
            yield Light(middle + radius * outward, outward, power * _DIFFUSED)
        else:
            yield Light(points, normals, power)


def _lamp_power(info: ObjectInfo, plan: FloorPlan, sharing: int) -> np.ndarray:
    if info.category == "fireplace":
        return _FIRE_POWER * _FIRE_RGB
    if info.category != "ceiling light" or info.room < 0:
        return _LAMP_POWER * _LAMP_RGB
    power = _CEILING_POWER_PER_AREA * plan.rooms[info.room].area
    return float(np.clip(power, *_CEILING_POWER_LIMITS)) / sharing * _LAMP_RGB


def _spread(
    scene: Scene, faces: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return points spread evenly over triangles, slightly above them, and their normals."""
    corners = scene.positions[scene.faces[faces]].astype(float)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1)
    quantile = (np.arange(_LAMP_POINTS) + rng.random(_LAMP_POINTS)) / _LAMP_POINTS
    chosen = np.searchsorted(np.cumsum(area) / area.sum(), quantile).clip(max=len(faces) - 1)
    u, v = rng.random((2, _LAMP_POINTS))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], axis=1)
    points = np.einsum("nc,nci->ni", weights, corners[chosen])
    normals = normal[chosen] / area[chosen, None]
    return points + _OFF_SURFACE * normals, normals


def _window(opening: Opening, plan: FloorPlan) -> Light:
    across, up = (np.arange(count) + 0.5 for count in _WINDOW_GRID)
    along = opening.start + across / _WINDOW_GRID[0] * opening.width
    height = opening.floor + opening.bottom + up / _WINDOW_GRID[1] * (opening.top - opening.bottom)
    along, height = (grid.ravel() for grid in np.meshgrid(along, height))
    at = np.full_like(along, opening.position)
    room = plan.rooms[opening.rooms[0]]
    if opening.axis == "x":
        points = np.stack([along, at, height], axis=1)
        inward = np.array([0.0, np.sign(room.centre[1] - opening.position), 0.0])
    else:
        points = np.stack([at, along, height], axis=1)
        inward = np.array([np.sign(room.centre[0] - opening.position), 0.0, 0.0])
    area = opening.width * (opening.top - opening.bottom)
    power = np.full(3, np.pi * _SKY_RADIANCE * area)
    return Light(points, np.broadcast_to(inward, points.shape), power, is_sky=True)
