"""Version 0.2 of the Python module MatterSim: batches of agents, depth, random episodes."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from clipnav.envs.mattersim.arguments import check_batch, integer, natural, text
from clipnav.envs.mattersim.engine import Engine
from clipnav.envs.mattersim.pictures import BlankCamera, Camera, Mat
from clipnav.envs.mattersim.random_engine import RandomEngine
from clipnav.envs.mattersim.settings import SimulatorSettings
from clipnav.envs.mattersim.shared_interface import ConfiguredSimulator, StateFields
from clipnav.envs.mattersim.timing import Timers
from clipnav.envs.mattersim.viewpoints import NOWHERE, AgentPose, ViewPoint


class SimState(StateFields):
    """State of one agent, which every action and episode of the agent updates.

    A copy or unpickled state is independent and does not change.

    Attributes:
        scanId: Name of the building.
        step: Number of actions since the start of the episode.
        rgb: Image (H, W, 3) uint8, blue first; black without rendering.
        depth: Image (H, W, 1) uint16 in quarters of a millimetre; zeros without depth.
        location: Viewpoint of the agent; None before the first episode.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        viewIndex: 12 * elevation step + heading step for discretised angles, otherwise 0.
        navigableLocations: Viewpoints that the agent can move to: its own, then the others by
            their angle from the centre of the image.
    """

    __slots__ = ("_pictures",)

    location = property(attrgetter("_pose.viewpoint.location"))

    def __init__(
        self,
        camera: Camera | BlankCamera,
        pose: AgentPose = NOWHERE,
        step: int = 0,
        pictures: tuple[Mat, Mat] | None = None,
    ) -> None:
        super().__init__(camera, pose, step)
        self._pictures = pictures

    def __reduce__(self) -> tuple[type[SimState], tuple[object, ...]]:
        pictures = self._rendered() if self._camera.rendering else self._pictures
        return SimState, (BlankCamera(self._camera.size), self._pose, self._step, pictures)

    @property
    def navigableLocations(self) -> list[ViewPoint]:  # noqa: D102
        return list(self._pose.navigable)

    @property
    def rgb(self) -> Mat:  # noqa: D102
        return self._rendered()[0]

    @property
    def depth(self) -> Mat:  # noqa: D102
        return self._rendered()[1]

    def _rendered(self) -> tuple[Mat, Mat]:
        if self._pictures is None:
            self._pictures = self._camera.take(self._pose)
        return self._pictures


class Simulator(ConfiguredSimulator):
    """Simulator with a batch of agents; the package docstring lists differences from MatterSim."""

    def __init__(self) -> None:
        super().__init__(SimulatorSettings(dataset_path="./data/v1/scans/"))
        self._states: list[SimState] = []
        self._random = RandomEngine()
        self._timers = Timers()

    def setDatasetPath(self, path: str, /) -> None:
        """Set the folder of the scans with their skyboxes."""
        self._set("dataset_path", text(path))

    def setNavGraphPath(self, path: str, /) -> None:
        """Set the folder of the connectivity files and of scans.txt."""
        self._set("nav_graph_path", text(path))

    def setRestrictedNavigation(self, value: bool, /) -> None:
        """Set whether only neighbours in the field of view are navigable."""
        self._set("restricted", bool(value))

    def setPreloadingEnabled(self, value: bool, /) -> None:
        """Set whether all skyboxes are read at initialisation."""
        self._set("preloading", bool(value))

    def setDepthEnabled(self, value: bool, /) -> None:
        """Set whether depth is rendered."""
        self._set("depth", bool(value))

    def setBatchSize(self, size: int, /) -> None:
        """Set the number of agents."""
        self._set("batch_size", natural(size))

    def setCacheSize(self, size: int, /) -> None:
        """Set the number of skyboxes to keep in memory."""
        self._set("cache_size", natural(size))

    def setSeed(self, seed: int, /) -> None:
        """Set the seed of the random viewpoints."""
        self._set("seed", integer(seed))

    def initialize(self) -> None:
        """Apply the configuration; does nothing if the simulator is initialised."""
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
        """Start an episode of each agent at a viewpoint with a heading and elevation in radians.

        Raises:
            IndexError: A list is shorter than the batch, or a scan is not in scans.txt ("map::at").
            TypeError: An argument has the wrong type.
            UserError: There is no such viewpoint, graph or list of scans.
        """
        began = self._timers.begin()
        poses = self._initialized_engine().start(scanIds, viewpointIds, headings, elevations)
        for state, pose in zip(self._states, poses, strict=True):
            state._pose, state._step, state._pictures = pose, 0, None
        self._timers.count(began)

    def newRandomEpisode(self, scanIds: Sequence[str], /) -> None:
        """Start an episode of each agent at a random viewpoint of a scan, with elevation 0.

        As in MatterSim, each call draws new viewpoints, but the same headings.

        Raises:
            IndexError: The list is shorter than the batch, or a scan is not in scans.txt.
            TypeError: The argument has the wrong type.
            UserError: A scan has no graph or no included viewpoint.
        """
        engine = self._initialized_engine()
        check_batch("newRandomEpisode", self._settings.batch_size, scanIds)
        scans = [text(scan) for scan in scanIds]
        drawing, turning = self._random.copy(), RandomEngine()
        viewpoints = [engine.random_viewpoint(scan, drawing) for scan in scans]
        headings = [turning.heading() for _ in scans]
        self.newEpisode(scans, viewpoints, headings, [0.0] * len(scans))
        self._random = drawing

    def getState(self) -> list[SimState]:
        """Return the states of the agents, the same objects at every call."""
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
            indices: Indices in `navigableLocations`; 0 stays.
            headings: Radians to the right; discretised angles use only the sign.
            elevations: Radians up; discretised angles use only the sign.

        Raises:
            RuntimeError: The simulator is not initialised.
            UserError: There is no such location, or no episode has started.
            IndexError: A list is shorter than the batch.
            TypeError: An argument has the wrong type.
        """
        if self._engine is None:
            raise RuntimeError("MatterSim: newEpisode must be called before makeAction")
        began = self._timers.begin()
        states = self._states
        poses = self._engine.act([s._pose for s in states], indices, headings, elevations)
        for state, pose in zip(states, poses, strict=True):
            state._pose = pose
            state._step += 1
            state._pictures = None
        self._timers.count(began)

    def resetTimers(self) -> None:
        """Reset all timers and the number of frames to zero."""
        self._timers = Timers()
        if self._camera is not None:
            self._camera.reset()

    def timingInfo(self) -> str:
        """Return a text with frames and times since the first episode or the last reset."""
        camera = self._camera
        frames, seconds = (camera.frames, camera.seconds) if camera else (0, 0.0)
        return self._timers.describe(frames, seconds)

    def _initialized_engine(self) -> Engine:
        self.initialize()
        assert self._engine is not None
        return self._engine
