"""Panorama: an equirectangular image with depth and object ids, and its ray-traced version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.panoramas.cameras import equirectangular_camera, render

if TYPE_CHECKING:
    from clipnav.envs.panoramas.ray_tracer import RayTracer


@dataclass(frozen=True, eq=False)
class Panorama:
    """Equirectangular image; column c faces heading 2 pi (c + 0.5) / W - pi.

    Attributes:
        rgb: (H, 2H, 3) uint8 colours.
        depth: (H, 2H) float32 distance along the ray in metres; inf in the sky, NaN if unknown.
        object_id: (H, 2H) int32 index into the scene's objects; -1 in the sky or if unknown.
    """

    rgb: np.ndarray
    depth: np.ndarray
    object_id: np.ndarray


def render_panorama(
    tracer: RayTracer, position: np.ndarray, width: int = 1024, rows: slice | None = None
) -> Panorama:
    """Render a (width/2, width) panorama.

    Args:
        position: (3,) position of the camera in metres.
        rows: Rows to render, such as `views.rows_seen`; None for all. The other rows stay black,
            with infinite depth and object -1.
    """
    size = (width // 2, width)
    if rows is not None:
        # Antialiasing of a row requires its neighbours.
        rows = slice(max(0, rows.start - 1), min(size[0], rows.stop + 1))
    rendered = rows or slice(0, size[0])
    camera = equirectangular_camera(width)
    hits = render(tracer, position, camera, size, 2 * np.pi / width, rendered)
    panorama = Panorama(
        np.zeros((*size, 3), np.uint8),
        np.full(size, np.inf, np.float32),
        np.full(size, -1, np.int32),
    )
    panorama.rgb[rendered] = hits.rgb.reshape(-1, width, 3)
    panorama.depth[rendered] = hits.distance.reshape(-1, width)
    panorama.object_id[rendered] = hits.object_id.reshape(-1, width)
    return panorama
