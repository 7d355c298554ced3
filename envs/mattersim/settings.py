"""Configuration of a simulator, and checks of arguments as in MatterSim's binding."""

import math
from collections.abc import Sized
from dataclasses import dataclass
from operator import index as integer
from pathlib import Path
from typing import Any

_TEXT = str, bytes


def check_batch(method: str, size: int, *arguments: Sized) -> None:
    """Refuse arguments that are not sequences of at least `size` entries."""
    for number, argument in enumerate(arguments, start=1):
        if isinstance(argument, _TEXT) or not hasattr(argument, "__len__"):
            raise TypeError(
                f"{method}(): incompatible function arguments: argument {number} is "
                f"{argument!r}, but version 0.2 takes a list with one entry per environment; for "
                'code written for version 0.1 call clipnav.envs.mattersim.install(version="0.1")'
            )
        if len(argument) < size:
            raise IndexError(
                f"{method}(): argument {number} has {len(argument)} entries for {size} environments"
            )


def text(value: Any) -> str:
    """Return a string unchanged."""
    if not isinstance(value, str):
        raise TypeError(f"incompatible function arguments: {value!r} is not a string")
    return value


def real(value: Any) -> float:
    """Return a number as a 64-bit float."""
    if isinstance(value, _TEXT) or not hasattr(value, "__float__"):
        raise TypeError(f"incompatible function arguments: {value!r} is not a number")
    return float(value)


def natural(value: Any) -> int:
    """Return a non-negative integer."""
    try:
        number = integer(value)
    except TypeError:
        number = -1
    if number < 0:
        raise TypeError(f"incompatible function arguments: {value!r} is not a non-negative integer")
    return number


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

    dataset_path: str = "./data/v1/scans/"
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
