"""Object ids of the views of a viewpoint, in the small size in which objects are recognised."""

from pathlib import Path

import numpy as np

from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.panoramas.views import views36_nearest

PANORAMA_WIDTH = 384  # columns of the panoramas that are rendered
VIEW_SIZE = 64  # pixels of a view in which objects are found


def object_panoramas(connectivity_dir: Path | None = None) -> HousePanoramas:
    """Return a renderer for `view_object_ids`."""
    return HousePanoramas(connectivity_dir=connectivity_dir, width=PANORAMA_WIDTH)


def view_object_ids(panoramas: HousePanoramas, scan: str, viewpoint: str) -> np.ndarray:
    """Return the object ids (36, 64, 64) int32 of the views of a viewpoint, -1 for the sky."""
    return views36_nearest(panoramas.panorama(scan, viewpoint).object_id, VIEW_SIZE)
