"""Version 0.1 of the Python module MatterSim: one agent per simulator, as used by EnvDrop.

    import clipnav.envs.mattersim

    clipnav.envs.mattersim.install(version="0.1")
    import MatterSim

The docstring of `clipnav.envs.mattersim` lists the differences from MatterSim.
"""

from __future__ import annotations

from typing import NamedTuple

from clipnav.envs.mattersim import v02, viewpoints
from clipnav.envs.mattersim.engine import InvalidActionError, RandomEngine
from clipnav.envs.mattersim.pictures import BlankCamera, Mat
from clipnav.envs.mattersim.settings import integer, text
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


class SimState(v02.SimState):
    """State of version 0.2 as a snapshot, which later actions do not change.

    `rgb` is None without rendering.
    """

    __slots__ = ()

    @property
    def location(self) -> ViewPoint | None:  # noqa: D102
        location = self._pose.viewpoint.location
        return None if location is None else _with_point(location)

    @property
    def navigableLocations(self) -> list[ViewPoint]:  # noqa: D102
        return [_with_point(viewpoint) for viewpoint in self._pose.navigable]

    @property
    def rgb(self) -> Mat | None:  # noqa: D102
        has_image = self._camera.rendering or self._pictures is not None
        return self._rendered()[0] if has_image else None


class Simulator(v02.Simulator):
    """Simulator with one agent; the package docstring lists the differences from MatterSim.

    As in version 0.1, scans need not be listed in scans.txt, and the folder of the graphs and the
    seed may be set at any time.
    """

    _scans_are_listed = False

    def setDatasetPath(self, path: str, /) -> None:
        """Set the folder that contains v1/scans with the skyboxes."""
        super().setDatasetPath(f"{text(path)}/v1/scans")

    def setNavGraphPath(self, path: str, /) -> None:
        """Set the folder of the connectivity files."""
        self._settings.nav_graph_path = text(path)

    def setSeed(self, seed: int, /) -> None:
        """Seed the generator of random viewpoints."""
        self._settings.seed = integer(seed)
        self._random = RandomEngine(self._settings.seed)

    def init(self) -> None:
        """Apply the configuration; does nothing if the simulator is initialised."""
        self.initialize()

    def newEpisode(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, scanId: str, viewpointId: str, heading: float, elevation: float, /
    ) -> None:
        """Start an episode at a viewpoint with a heading and elevation."""
        engine = self._initialized_engine()
        drawing = self._random.copy()
        if viewpointId == "":
            viewpointId = engine.random_viewpoint(text(scanId), drawing)
        super().newEpisode([scanId], [viewpointId], [heading], [elevation])
        self._random = drawing

    def getState(self) -> SimState:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the current state, a new object at every call."""
        if not self._states:
            return SimState(BlankCamera((self._settings.height, self._settings.width)))
        (state,) = self._states
        return SimState(state._camera, state._pose, state._step)

    def makeAction(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, index: int, heading: float, elevation: float, /
    ) -> None:
        """Move the agent to one of its navigable locations, then turn it."""
        index = integer(index)
        try:
            if self._engine is None or index < 0:
                raise InvalidActionError(index, 0, 1)
            super().makeAction([index], [heading], [elevation])
        except InvalidActionError:
            raise UserError(f"MatterSim: Invalid action index: {index}") from None


def _with_point(viewpoint: viewpoints.ViewPoint) -> ViewPoint:
    viewpoint_id, ix, x, y, z, rel_heading, rel_elevation, rel_distance = viewpoint
    return ViewPoint(viewpoint_id, ix, [x, y, z], rel_heading, rel_elevation, rel_distance)
