"""Panoramas of the built-in houses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from envs.panoramas.cameras import equirectangular_camera, render

if TYPE_CHECKING:
    from envs.panoramas.ray_tracer import RayTracer


@dataclass(frozen=True, eq=False)
class Panorama:
    """An equirectangular picture: column c looks at heading 2 pi (c + 0.5) / W - pi.

    Attributes:
        rgb: (H, 2H, 3) uint8.
        depth: (H, 2H) float32 metres along the ray; inf in the sky.
        object_id: (H, 2H) int32 index into the scene's objects; -1 in the sky.
    """

    rgb: np.ndarray
    depth: np.ndarray
    object_id: np.ndarray


def render_panorama(tracer: RayTracer, position: np.ndarray, width: int = 1024) -> Panorama:
    """Panorama (width/2, width) seen from `position` (3,) metres."""
    size = (width // 2, width)
    hits = render(tracer, position, equirectangular_camera(width), size, 2 * np.pi / width)
    return Panorama(
        hits.rgb.reshape(*size, 3), hits.distance.reshape(size), hits.object_id.reshape(size)
    )
