"""Images of a state, rendered on first access."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from clipnav.envs.mattersim.settings import SimulatorSettings
from clipnav.envs.mattersim.viewpoints import AgentPose

if TYPE_CHECKING:
    from clipnav.envs.mattersim.rendering import Renderer


class Mat(np.ndarray):
    """Image: (H, W, 3) uint8 in the order blue, green, red, or (H, W, 1) uint16 depth.

    MatterSim's class of the same name supports the buffer protocol, as this NumPy array does.
    """


class Camera:
    """Camera of one initialised simulator, with the image size at initialisation.

    Attributes:
        size: Rows and columns of an image.
        rendering: Whether images are rendered; otherwise they are black.
        frames: Number of rendered images.
        seconds: Time spent on rendering.
    """

    def __init__(self, settings: SimulatorSettings, dataset_path: Path) -> None:
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
        """Create the renderer, which reads all skyboxes if preloading is enabled."""
        if self._renderer is None:
            from clipnav.envs.mattersim.rendering import Renderer

            self._renderer = Renderer(*self._arguments)
        return self._renderer

    def close(self) -> None:
        """Release the skyboxes in memory."""
        self._renderer = None

    def take(self, pose: AgentPose) -> tuple[Mat, Mat]:
        """Return colours and depth; zeros without rendering or before the first episode."""
        location = pose.viewpoint.location
        if not self.rendering or location is None:
            return BlankCamera(self.size).take(pose)
        began = time.perf_counter()
        rgb, depth = self.open().render(
            pose.viewpoint.scan_id, location.viewpointId, pose.heading, pose.elevation
        )
        self.frames += 1
        self.seconds += time.perf_counter() - began
        return rgb.view(Mat), depth.view(Mat)


@dataclass(frozen=True)
class BlankCamera:
    """Camera that returns black images of a size (rows, columns) with zero depth."""

    size: tuple[int, int]
    rendering: ClassVar[bool] = False

    def take(self, pose: AgentPose) -> tuple[Mat, Mat]:
        """Return zeros."""
        rgb = np.zeros((*self.size, 3), np.uint8)
        return rgb.view(Mat), np.zeros((*self.size, 1), np.uint16).view(Mat)
