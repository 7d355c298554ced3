"""Light of a house, computed once with Embree and stored in the vertex colours.

Lamps and windows light every surface point directly; then light bounces along one set of traced
rays. All surfaces are matt. `_display` converts amounts of light to display-space factors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.lighting.lights import Light, glowing_faces
from clipnav.envs.houses.lighting.surfels import Surfels
from clipnav.envs.houses.materials.colours import to_linear
from clipnav.envs.houses.shell.fixture import OUTSIDE
from clipnav.envs.panoramas.ray_tracer import GLASS_TEXTURE

if TYPE_CHECKING:
    from clipnav.envs.houses.meshes.scene import Scene

BAKE_TAG = 41

_MOST_REFLECTING = 0.82  # maximum albedo, as white paint absorbs light too; keeps contrast in rooms
_BOUNCES = 4  # of light along the rays
_SMOOTHING_ROUNDS = 1
# Vertices are too sparse for the thin shadow under a chair's leg: points are darkened by this share
# of their closeness to other surfaces.
_CONTACT_SHADOW = 0.65
_MEDIAN_LIGHT = 0.55  # on floors and walls, in the units of `_display`


def bake(scene: Scene, lights: list[Light], seed: int, rays: int = 64) -> Scene:
    """Multiply the tints of a scene by baked light.

    Args:
        scene: Unlit scene. Objects of category "outside" and panes of clear glass neither cast
            shadows nor receive light.
    """
    rng = np.random.default_rng([seed, BAKE_TAG])
    solid = ~scene.face_mask(OUTSIDE) & (_texture(scene, GLASS_TEXTURE) != scene.face_texture)
    glowing = glowing_faces(scene)
    surfels = Surfels(scene, solid)
    direct = np.zeros((len(surfels), 3))
    for light in lights:
        direct += surfels.receive(light)
    albedo = np.where(glowing[:, None], 0.0, _face_albedo(scene))
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


def _face_albedo(scene: Scene) -> np.ndarray:
    """Return the linear albedo (F, 3) of each triangle."""
    textures = np.array(
        [to_linear(texture.reshape(-1, 3) / 255.0).mean(axis=0) for texture in scene.textures]
    )
    tint = to_linear(scene.colours[scene.faces[:, 0]].astype(float))
    return np.minimum(textures[scene.face_texture] * tint, _MOST_REFLECTING)


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
