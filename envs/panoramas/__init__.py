"""Panoramas from several sources, and the 36 views of R2R."""

from envs.panoramas.panorama import Panorama, render_panorama
from envs.panoramas.views import perspective, views36, views36_nearest

__all__ = [
    "Panorama",
    "perspective",
    "render_panorama",
    "views36",
    "views36_nearest",
]
