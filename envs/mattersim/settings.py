"""SimulatorSettings: the configuration of a simulator."""

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class SimulatorSettings:
    """Configuration of one simulator.

    Attributes:
        dataset_path: Folder of the scans with their skyboxes.
        nav_graph_path: Folder of the connectivity files.
        rendering: Whether states have images.
        depth: Whether depth is rendered.
        preloading: Whether all skyboxes are read at initialisation.
        cache_size: Number of skyboxes to keep in memory.
        width: Number of columns of an image.
        height: Number of rows of an image.
        vfov: Vertical field of view in radians.
        min_elevation: Lowest continuous elevation in radians.
        max_elevation: Highest continuous elevation in radians.
        discretized: Whether angles change in steps of 30 degrees.
        restricted: Whether only neighbours in the camera's field of view are navigable.
        batch_size: Number of agents.
        seed: Random seed for viewpoints of random episodes.
    """

    dataset_path: str
    nav_graph_path: str = "./connectivity"
    rendering: bool = True
    depth: bool = False
    preloading: bool = False
    cache_size: int = 200
    width: int = 320
    height: int = 240
    vfov: float = 0.8
    min_elevation: float = -0.94
    max_elevation: float = 0.94
    discretized: bool = False
    restricted: bool = True
    batch_size: int = 1
    seed: int = 1

    @property
    def min_cosine(self) -> float | None:
        """Smallest cosine of the angle from the image centre at which neighbours are visible.

        MatterSim uses vfov * width / height as the horizontal field of view, which differs from
        that of its images. None if all neighbours are navigable.
        """
        if not self.restricted:
            return None
        return math.cos(self.vfov * self.width / self.height / 2.0)

    @property
    def connectivity_dir(self) -> Path:
        """Folder of the connectivity files."""
        return Path(self.nav_graph_path)

    def set_elevation_limits(self, low: float, high: float) -> bool:
        """Set both limits if they are on different sides of the horizon and within pi / 2 of it.

        Returns:
            Whether the limits were set.
        """
        if not -math.pi / 2.0 < low < 0.0 < high < math.pi / 2.0:
            return False
        self.min_elevation, self.max_elevation = low, high
        return True
