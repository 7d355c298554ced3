"""The Python module MatterSim, version 0.2: batches of agents, depth, random episodes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from envs.mattersim.arguments import check_batch, integer, natural, text
from envs.mattersim.engine import Engine
from envs.mattersim.pictures import BlankCamera, Camera, Mat
from envs.mattersim.places import NOWHERE, View, ViewPoint
from envs.mattersim.random_engine import RandomEngine
from envs.mattersim.settings import Settings
from envs.mattersim.shared_interface import ConfiguredSimulator, StateFields
from envs.mattersim.timing import Timers


class SimState(StateFields):
    """The state of one agent, which follows the agent through its episodes.

    Pickling or copying gives a state of its own that stays as it is.

    Attributes:
        scanId: Name of the building.
        step: Actions since the episode began.
        rgb: Picture (H, W, 3) uint8, blue first; black when rendering is off.
        depth: Picture (H, W, 1) uint16 in quarters of a millimetre; zeros when depth is off.
        location: Where the agent stands; None before the first episode.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        viewIndex: 12 * band + heading step when angles are discretised, else 0.
        navigableLocations: Where it can go, itself first, then by angle from the image's centre.
    """

    __slots__ = ("_pictures",)

    location = property(attrgetter("_view.place.location"))

    def __init__(
        self,
        camera: Camera | BlankCamera,
        view: View = NOWHERE,
        step: int = 0,
        pictures: tuple[Mat, Mat] | None = None,
    ) -> None:
        super().__init__(camera, view, step)
        self._pictures = pictures

    def __reduce__(self) -> tuple[type[SimState], tuple[object, ...]]:
        pictures = self._taken() if self._camera.rendering else self._pictures
        return SimState, (BlankCamera(self._camera.size), self._view, self._step, pictures)

    @property
    def navigableLocations(self) -> list[ViewPoint]:  # noqa: D102
        return list(self._view.navigable)

    @property
    def rgb(self) -> Mat:  # noqa: D102
        return self._taken()[0]

    @property
    def depth(self) -> Mat:  # noqa: D102
        return self._taken()[1]

    def _taken(self) -> tuple[Mat, Mat]:
        if self._pictures is None:
            self._pictures = self._camera.take(self._view)
        return self._pictures


class Simulator(ConfiguredSimulator):
    """A batch of agents in buildings; see the package for differences from MatterSim."""

    def __init__(self) -> None:
        super().__init__(Settings(dataset_path="./data/v1/scans/"))
        self._states: list[SimState] = []
        self._random = RandomEngine()
        self._timers = Timers()

    def setDatasetPath(self, path: str, /) -> None:
        """Set the folder of the scans with their skyboxes."""
        self._set("dataset_path", text(path))

    def setNavGraphPath(self, path: str, /) -> None:
        """Set the folder of the connectivity files and their scans.txt."""
        self._set("nav_graph_path", text(path))

    def setRestrictedNavigation(self, value: bool, /) -> None:
        """Set whether only neighbours in the field of view are navigable."""
        self._set("restricted", bool(value))

    def setPreloadingEnabled(self, value: bool, /) -> None:
        """Set whether all skyboxes are read on initialisation."""
        self._set("preloading", bool(value))

    def setDepthEnabled(self, value: bool, /) -> None:
        """Set whether depth is rendered."""
        self._set("depth", bool(value))

    def setBatchSize(self, size: int, /) -> None:
        """Set the number of agents."""
        self._set("batch_size", natural(size))

    def setCacheSize(self, size: int, /) -> None:
        """Set how many panoramas are kept in memory."""
        self._set("cache_size", natural(size))

    def setSeed(self, seed: int, /) -> None:
        """Set the seed of random viewpoints."""
        self._set("seed", integer(seed))

    def initialize(self) -> None:
        """Take up the configuration; an initialised simulator stays as it is."""
        if self._engine is not None:
            return
        camera = self._open(Path(self._settings.dataset_path), listed=True)
        self._states = [SimState(camera) for _ in range(self._settings.batch_size)]
        self._random = RandomEngine(self._settings.seed)

    def newEpisode(
        self,
        scanIds: Sequence[str],
        viewpointIds: Sequence[str],
        headings: Sequence[float],
        elevations: Sequence[float],
        /,
    ) -> None:
        """Put each agent at a viewpoint of a scan, looking along angles in radians.

        Raises:
            IndexError: A list is shorter than the batch, or a scan is not in scans.txt ("map::at").
            TypeError: An argument has the wrong type.
            ValueError: No such viewpoint, graph or list of scans.
        """
        began = self._timers.begin()
        views = self._started().start(scanIds, viewpointIds, headings, elevations)
        for state, view in zip(self._states, views, strict=True):
            state._view, state._step, state._pictures = view, 0, None
        self._timers.count(began)

    def newRandomEpisode(self, scanIds: Sequence[str], /) -> None:
        """Put each agent at a random viewpoint of a scan, level.

        Viewpoints go on from those drawn before; headings are the same at every call, as in
        MatterSim.

        Raises:
            IndexError: The list is shorter than the batch, or a scan is not in scans.txt.
            TypeError: The argument has the wrong type.
            ValueError: A scan has no graph or no viewpoint to stand on.
        """
        engine = self._started()
        check_batch("newRandomEpisode", self._settings.batch_size, scanIds)
        scans = [text(scan) for scan in scanIds]
        drawing, turning = self._random.copy(), RandomEngine()
        viewpoints = [engine.random_viewpoint(scan, drawing) for scan in scans]
        headings = [turning.heading() for _ in scans]
        self.newEpisode(scans, viewpoints, headings, [0.0] * len(scans))
        self._random = drawing

    def getState(self) -> list[SimState]:
        """The states of the agents, the same objects at every call."""
        return list(self._states)

    def makeAction(
        self,
        indices: Sequence[int],
        headings: Sequence[float],
        elevations: Sequence[float],
        /,
    ) -> None:
        """Move each agent to one of its navigable locations, then turn it.

        Args:
            indices: Places in `navigableLocations`; 0 stays.
            headings: Radians to the right; only the sign counts when angles are discretised.
            elevations: Radians up; likewise.

        Raises:
            RuntimeError: Not initialised.
            ValueError: No such location, or no episode has begun.
            IndexError: A list is shorter than the batch.
            TypeError: An argument has the wrong type.
        """
        if self._engine is None:
            raise RuntimeError("MatterSim: newEpisode must be called before makeAction")
        began = self._timers.begin()
        states = self._states
        views = self._engine.act([s._view for s in states], indices, headings, elevations)
        for state, view in zip(states, views, strict=True):
            state._view = view
            state._step += 1
            state._pictures = None
        self._timers.count(began)

    def resetTimers(self) -> None:
        """Set all clocks and the count of frames back to zero."""
        self._timers = Timers()
        if self._camera is not None:
            self._camera.reset()

    def timingInfo(self) -> str:
        """Text about frames and times since the first episode or the last reset."""
        camera = self._camera
        frames, seconds = (camera.frames, camera.seconds) if camera else (0, 0.0)
        return self._timers.describe(frames, seconds)

    def _started(self) -> Engine:
        self.initialize()
        assert self._engine is not None
        return self._engine
