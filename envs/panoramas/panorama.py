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


def render_panorama(
    tracer: RayTracer, position: np.ndarray, width: int = 1024, rows: slice | None = None
) -> Panorama:
    """Panorama (width/2, width) seen from a point.

    Args:
        tracer: the scene.
        position: (3,) metres.
        width: columns.
        rows: the rows that are needed, first to one past the last, such as `views.rows_seen`; the
            others stay black, without distance and object. All by default.
    """
    size = (width // 2, width)
    if rows is not None:
        # Pixels at edges are smoothed, for which their neighbours must be known.
        rows = slice(max(0, rows.start - 1), min(size[0], rows.stop + 1))
    drawn = rows or slice(0, size[0])
    hits = render(tracer, position, equirectangular_camera(width), size, 2 * np.pi / width, drawn)
    panorama = Panorama(
        np.zeros((*size, 3), np.uint8),
        np.full(size, np.inf, np.float32),
        np.full(size, -1, np.int32),
    )
    panorama.rgb[drawn] = hits.rgb.reshape(-1, width, 3)
    panorama.depth[drawn] = hits.distance.reshape(-1, width)
    panorama.object_id[drawn] = hits.object_id.reshape(-1, width)
    return panorama
