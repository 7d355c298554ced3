"""Panoramas from several sources, and the 36 views of R2R."""

from clipnav.envs.panoramas.panorama import Panorama, render_panorama
from clipnav.envs.panoramas.views import perspective, views36, views36_nearest

__all__ = [
    "Panorama",
    "perspective",
    "render_panorama",
    "views36",
    "views36_nearest",
]
