"""The pictures of a state: taken when they are first looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from envs.mattersim.places import View
from envs.mattersim.settings import Settings

if TYPE_CHECKING:
    from envs.mattersim.rendering import Renderer


class Mat(np.ndarray):
    """A picture: (H, W, 3) uint8 in the order blue, green, red, or (H, W, 1) uint16 depth.

    MatterSim's class of this name offers the buffer protocol; this one is a NumPy array, which does
    so too.
    """


class Camera:
    """Takes the pictures of one initialised simulator, with the size it was initialised with.

    Attributes:
        size: Rows and columns.
        rendering: Whether there is anything on the pictures.
        frames: How many pictures were rendered.
        seconds: How long that took.
    """

    def __init__(self, settings: Settings, dataset_path: Path) -> None:
        self.size = settings.height, settings.width
        self.rendering = settings.rendering
        self.frames = 0
        self.seconds = 0.0
        self._renderer: Renderer | None = None
        self._arguments = (
            dataset_path,
            settings.width,
            settings.height,
            settings.vfov,
            settings.depth,
            settings.preloading,
            settings.cache_size,
            settings.connectivity_dir,
        )

    def open(self) -> Renderer:
        """Get ready for rendering; reads all pictures now if they are to be preloaded."""
        if self._renderer is None:
            from envs.mattersim.rendering import Renderer

            self._renderer = Renderer(*self._arguments)
        return self._renderer

    def close(self) -> None:
        """Let go of the panoramas in memory."""
        self._renderer = None

    def reset(self) -> None:
        """Count frames and seconds from zero."""
        self.frames, self.seconds = 0, 0.0

    def take(self, view: View) -> tuple[Mat, Mat]:
        """Colours and depth; zeros where rendering is off or no episode has begun.

        Raises:
            ValueError: The skybox of the viewpoint cannot be opened.
        """
        location = view.place.location
        if not self.rendering or location is None:
            return BlankCamera(self.size).take(view)
        began = time.perf_counter()
        rgb, depth = self.open().render(
            view.place.scan_id, location.viewpointId, view.heading, view.elevation
        )
        self.frames += 1
        self.seconds += time.perf_counter() - began
        return rgb.view(Mat), depth.view(Mat)


@dataclass(frozen=True)
class BlankCamera:
    """Takes black pictures of a size, rows and columns, and without depth."""

    size: tuple[int, int]
    rendering: ClassVar[bool] = False

    def take(self, view: View) -> tuple[Mat, Mat]:
        """Zeros."""
        rgb = np.zeros((*self.size, 3), np.uint8)
        return rgb.view(Mat), np.zeros((*self.size, 1), np.uint16).view(Mat)
