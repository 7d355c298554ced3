"""What a simulator is told before it starts."""

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Settings:
    """Configuration of one simulator.

    Attributes:
        dataset_path: Folder of the scans with their skyboxes.
        nav_graph_path: Folder of the connectivity files.
        rendering: Whether states have pictures.
        depth: Whether depth is rendered too.
        preloading: Whether all pictures are read on initialisation.
        cache_size: Panoramas to keep in memory.
        width: Columns of a picture.
        height: Rows of a picture.
        vfov: Vertical field of view in radians.
        min_elevation: Lowest elevation in radians when angles are continuous.
        max_elevation: Highest elevation in radians when angles are continuous.
        discretized: Whether angles go in steps of 30 degrees.
        restricted: Whether only neighbours in the camera's field of view are navigable.
        batch_size: Agents.
        seed: Of the random viewpoints.
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
        """Of the angle from the centre of the image at which a neighbour is still visible.

        MatterSim takes vfov * width / height for the horizontal field of view, not the angle that
        its pictures have. None where all neighbours are navigable.
        """
        if not self.restricted:
            return None
        return math.cos(self.vfov * self.width / self.height / 2.0)

    @property
    def connectivity_dir(self) -> Path:
        """Folder of the connectivity files."""
        return Path(self.nav_graph_path)

    def set_elevation_limits(self, low: float, high: float) -> bool:
        """Set both limits if they lie on both sides of the horizon and within pi / 2 of it.

        Returns:
            Whether they were set.
        """
        if not -math.pi / 2.0 < low < 0.0 < high < math.pi / 2.0:
            return False
        self.min_elevation, self.max_elevation = low, high
        return True
