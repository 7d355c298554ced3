"""Panoramas of viewpoints for videos, loaded on demand; a few stay in memory."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image

from clipnav.envs.drawing.camera import Standpoint, bare_panorama
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.pictures.panorama_files import WIDTHS, NoPictureError, Pictures
from clipnav.viewer.videos.timeline import VideoWalk, camera_position

_CAMERA_HEIGHT = 1.25  # metres above the floor in continuous walks, as in R2R-CE
_IN_MEMORY = 6  # panoramas of 25 MB


class Panoramas:
    """Panoramas of a building."""

    def __init__(self, pictures: Pictures, graph: NavGraph) -> None:
        self._pictures, self._graph = pictures, graph
        self.bare = bool(pictures.note)
        """Whether pictures are missing, so that videos show a floor with grid lines instead."""
        self._read = lru_cache(_IN_MEMORY)(self._standpoint)

    def at(self, walk: VideoWalk, step: int) -> Standpoint:
        """Return the panorama of a step's viewpoint."""
        return self._read(walk.trace.steps[step].viewpoint)

    def _standpoint(self, viewpoint: str) -> Standpoint:
        position, height = camera_position(self._graph, viewpoint), _CAMERA_HEIGHT
        if viewpoint in self._graph:
            height = float(self._graph.heights[self._graph.index(viewpoint)])
        try:
            data = self._pictures.jpeg(self._graph.scan, viewpoint, WIDTHS[-1])
        except NoPictureError:
            self.bare = True
            return Standpoint(bare_panorama(position, height), position, height)
        return Standpoint(np.asarray(Image.open(io.BytesIO(data))), position, height)
