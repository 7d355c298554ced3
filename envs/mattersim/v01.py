"""The Python module MatterSim, version 0.1: one agent per simulator, as EnvDrop uses it.

    import envs.mattersim

    envs.mattersim.install(version="0.1")
    import MatterSim

`envs.mattersim` tells what is the same as in MatterSim and what is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.mattersim import places
from envs.mattersim.arguments import integer, text
from envs.mattersim.engine import InvalidActionError
from envs.mattersim.pictures import BlankCamera, Camera
from envs.mattersim.places import NOWHERE, View
from envs.mattersim.random_engine import RandomEngine
from envs.mattersim.settings import Settings
from envs.mattersim.shared_interface import ConfiguredSimulator, StateFields

__all__ = ["SimState", "Simulator", "ViewPoint"]


class ViewPoint(NamedTuple):
    """A place that can be moved to, seen from where the agent stands.

    Attributes:
        viewpointId: Its name.
        ix: Its record in the connectivity file.
        point: [x, y, z] in metres, z up.
        rel_heading: Radians to the right of the centre of the image.
        rel_elevation: Radians above the centre of the image.
        rel_distance: Metres from the agent.
    """

    viewpointId: str
    ix: int
    point: list[float]
    rel_heading: float
    rel_elevation: float
    rel_distance: float


class SimState(StateFields):
    """The state of an agent at one time; it does not change when the agent acts.

    Attributes:
        scanId: Name of the building.
        step: Actions since the episode began.
        rgb: Picture (H, W, 3) uint8, blue first; None when rendering is off.
        location: Where the agent stands; None before the first episode.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        viewIndex: 12 * band + heading step when angles are discretised, else 0.
        navigableLocations: Where it can go, itself first, then by angle from the image's centre.
    """

    __slots__ = ("_navigable", "_rgb")

    def __init__(
        self,
        camera: Camera | BlankCamera,
        view: View,
        step: int,
        rgb: np.ndarray | None = None,
    ) -> None:
        super().__init__(camera, view, step)
        self._rgb = rgb
        self._navigable: list[ViewPoint] | None = None

    def __reduce__(self) -> tuple[type[SimState], tuple[object, ...]]:
        return SimState, (BlankCamera(self._camera.size), self._view, self._step, self.rgb)

    @property
    def location(self) -> ViewPoint | None:  # noqa: D102
        location = self._view.place.location
        return None if location is None else _with_point(location)

    @property
    def navigableLocations(self) -> list[ViewPoint]:  # noqa: D102
        if self._navigable is None:
            self._navigable = [_with_point(viewpoint) for viewpoint in self._view.navigable]
        return self._navigable

    @property
    def rgb(self) -> np.ndarray | None:  # noqa: D102
        if self._rgb is None and self._camera.rendering:
            self._rgb = np.asarray(self._camera.take(self._view)[0])
        return self._rgb


class Simulator(ConfiguredSimulator):
    """One agent in buildings; see the package for differences from MatterSim.

    As in version 0.1, a scan needs no entry in scans.txt, and the folder of the graphs and the seed
    may be set at any time.
    """

    def __init__(self) -> None:
        super().__init__(Settings(dataset_path="./data"))
        self._view = NOWHERE
        self._step = 0
        self._random = RandomEngine()

    def setDatasetPath(self, path: str, /) -> None:
        """Set the folder that holds v1/scans with the skyboxes."""
        self._settings.dataset_path = text(path)

    def setNavGraphPath(self, path: str, /) -> None:
        """Set the folder of the connectivity files."""
        self._settings.nav_graph_path = text(path)

    def setSeed(self, seed: int, /) -> None:
        """Start the random viewpoints anew from a seed."""
        self._random = RandomEngine(integer(seed))

    def init(self) -> None:
        """Take up the configuration; an initialised simulator stays as it is."""
        if self._engine is None:
            self._open(Path(self._settings.dataset_path) / "v1/scans", listed=False)
            self._view, self._step = NOWHERE, 0

    def newEpisode(
        self, scanId: str, viewpointId: str, heading: float, elevation: float, /
    ) -> None:
        """Put the agent at a viewpoint of a scan, looking along angles in radians.

        Args:
            scanId: Name of the building.
            viewpointId: A random one if empty.
            heading: Clockwise from +y.
            elevation: Above the horizon.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: No such viewpoint, or no graph of the scan.
        """
        self.init()
        assert self._engine is not None
        drawing = self._random.copy()
        if viewpointId == "":
            viewpointId = self._engine.random_viewpoint(text(scanId), drawing)
        (self._view,) = self._engine.start([scanId], [viewpointId], [heading], [elevation])
        self._step = 0
        self._random = drawing

    def getState(self) -> SimState:
        """The present state, a new object at every call."""
        camera = self._camera or BlankCamera((self._settings.height, self._settings.width))
        return SimState(camera, self._view, self._step)

    def makeAction(self, index: int, heading: float, elevation: float, /) -> None:
        """Move the agent to one of its navigable locations, then turn it.

        Args:
            index: Place in `navigableLocations`; 0 stays.
            heading: Radians to the right; only the sign counts when angles are discretised.
            elevation: Radians up; likewise.

        Raises:
            ValueError: No such location, or no episode has begun.
            TypeError: An argument has the wrong type.
        """
        index = integer(index)
        try:
            if self._engine is None or index < 0:
                raise InvalidActionError(index, 0, 1)
            (view,) = self._engine.act((self._view,), (index,), (heading,), (elevation,))
        except InvalidActionError:
            raise ValueError(f"MatterSim: Invalid action index: {index}") from None
        self._view = view
        self._step += 1


def _with_point(viewpoint: places.ViewPoint) -> ViewPoint:
    viewpoint_id, ix, x, y, z, rel_heading, rel_elevation, rel_distance = viewpoint
    return ViewPoint(viewpoint_id, ix, [x, y, z], rel_heading, rel_elevation, rel_distance)
