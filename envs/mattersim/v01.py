"""Version 0.1 of the Python module MatterSim: one agent per simulator, as used by EnvDrop.

    import clipnav.envs.mattersim

    clipnav.envs.mattersim.install(version="0.1")
    import MatterSim

The docstring of `clipnav.envs.mattersim` lists the differences from MatterSim.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from clipnav.envs.mattersim import viewpoints
from clipnav.envs.mattersim.arguments import integer, text
from clipnav.envs.mattersim.engine import InvalidActionError
from clipnav.envs.mattersim.pictures import BlankCamera, Camera
from clipnav.envs.mattersim.random_engine import RandomEngine
from clipnav.envs.mattersim.settings import SimulatorSettings
from clipnav.envs.mattersim.shared_interface import ConfiguredSimulator, StateFields
from clipnav.envs.mattersim.viewpoints import NOWHERE, AgentPose
from clipnav.storage.errors import UserError

__all__ = ["SimState", "Simulator", "ViewPoint"]


class ViewPoint(NamedTuple):
    """Navigable location relative to the pose of an agent.

    Attributes:
        viewpointId: Id of the viewpoint.
        ix: Index of its record in the connectivity file.
        point: [x, y, z] in metres, z up.
        rel_heading: Radians to the right of the centre of the image.
        rel_elevation: Radians above the centre of the image.
        rel_distance: Distance from the agent in metres.
    """

    viewpointId: str
    ix: int
    point: list[float]
    rel_heading: float
    rel_elevation: float
    rel_distance: float


class SimState(StateFields):
    """Snapshot of the state of an agent, which later actions do not change.

    Attributes:
        scanId: Name of the building.
        step: Number of actions since the start of the episode.
        rgb: Image (H, W, 3) uint8, blue first; None without rendering.
        location: Viewpoint of the agent; None before the first episode.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        viewIndex: 12 * elevation step + heading step for discretised angles, otherwise 0.
        navigableLocations: Viewpoints that the agent can move to: its own, then the others by
            their angle from the centre of the image.
    """

    __slots__ = ("_navigable", "_rgb")

    def __init__(
        self,
        camera: Camera | BlankCamera,
        pose: AgentPose,
        step: int,
        rgb: np.ndarray | None = None,
    ) -> None:
        super().__init__(camera, pose, step)
        self._rgb = rgb
        self._navigable: list[ViewPoint] | None = None

    def __reduce__(self) -> tuple[type[SimState], tuple[object, ...]]:
        return SimState, (BlankCamera(self._camera.size), self._pose, self._step, self.rgb)

    @property
    def location(self) -> ViewPoint | None:  # noqa: D102
        location = self._pose.viewpoint.location
        return None if location is None else _with_point(location)

    @property
    def navigableLocations(self) -> list[ViewPoint]:  # noqa: D102
        if self._navigable is None:
            self._navigable = [_with_point(viewpoint) for viewpoint in self._pose.navigable]
        return self._navigable

    @property
    def rgb(self) -> np.ndarray | None:  # noqa: D102
        if self._rgb is None and self._camera.rendering:
            self._rgb = np.asarray(self._camera.take(self._pose)[0])
        return self._rgb


class Simulator(ConfiguredSimulator):
    """Simulator with one agent; the package docstring lists the differences from MatterSim.

    As in version 0.1, scans need not be listed in scans.txt, and the folder of the graphs and the
    seed may be set at any time.
    """

    def __init__(self) -> None:
        super().__init__(SimulatorSettings(dataset_path="./data"))
        self._pose = NOWHERE
        self._step = 0
        self._random = RandomEngine()

    def setDatasetPath(self, path: str, /) -> None:
        """Set the folder that contains v1/scans with the skyboxes."""
        self._settings.dataset_path = text(path)

    def setNavGraphPath(self, path: str, /) -> None:
        """Set the folder of the connectivity files."""
        self._settings.nav_graph_path = text(path)

    def setSeed(self, seed: int, /) -> None:
        """Seed the generator of random viewpoints."""
        self._random = RandomEngine(integer(seed))

    def init(self) -> None:
        """Apply the configuration; does nothing if the simulator is initialised."""
        if self._engine is None:
            self._open(Path(self._settings.dataset_path) / "v1/scans", listed=False)
            self._pose, self._step = NOWHERE, 0

    def newEpisode(
        self, scanId: str, viewpointId: str, heading: float, elevation: float, /
    ) -> None:
        """Start an episode at a viewpoint with a heading and elevation.

        Args:
            scanId: Name of the building.
            viewpointId: Id of the viewpoint; a random viewpoint if empty.
            heading: Radians clockwise from +y.
            elevation: Radians above the horizon.

        Raises:
            TypeError: An argument has the wrong type.
            UserError: There is no such viewpoint, or the scan has no graph.
        """
        self.init()
        assert self._engine is not None
        drawing = self._random.copy()
        if viewpointId == "":
            viewpointId = self._engine.random_viewpoint(text(scanId), drawing)
        (self._pose,) = self._engine.start([scanId], [viewpointId], [heading], [elevation])
        self._step = 0
        self._random = drawing

    def getState(self) -> SimState:
        """Return the current state, a new object at every call."""
        camera = self._camera or BlankCamera((self._settings.height, self._settings.width))
        return SimState(camera, self._pose, self._step)

    def makeAction(self, index: int, heading: float, elevation: float, /) -> None:
        """Move the agent to one of its navigable locations, then turn it.

        Args:
            index: Index in `navigableLocations`; 0 stays.
            heading: Radians to the right; discretised angles use only the sign.
            elevation: Radians up; discretised angles use only the sign.

        Raises:
            UserError: There is no such location, or no episode has started.
            TypeError: An argument has the wrong type.
        """
        index = integer(index)
        try:
            if self._engine is None or index < 0:
                raise InvalidActionError(index, 0, 1)
            (pose,) = self._engine.act((self._pose,), (index,), (heading,), (elevation,))
        except InvalidActionError:
            raise UserError(f"MatterSim: Invalid action index: {index}") from None
        self._pose = pose
        self._step += 1


def _with_point(viewpoint: viewpoints.ViewPoint) -> ViewPoint:
    viewpoint_id, ix, x, y, z, rel_heading, rel_elevation, rel_distance = viewpoint
    return ViewPoint(viewpoint_id, ix, [x, y, z], rel_heading, rel_elevation, rel_distance)
