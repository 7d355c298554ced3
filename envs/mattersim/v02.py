"""Version 0.2 of the Python module MatterSim: batches of agents, depth, random episodes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from clipnav.envs.mattersim.engine import Engine, RandomEngine
from clipnav.envs.mattersim.pictures import BlankCamera, Mat, SimulatorCamera
from clipnav.envs.mattersim.settings import (
    SimulatorSettings,
    check_batch,
    integer,
    natural,
    real,
    text,
)
from clipnav.envs.mattersim.viewpoints import NOWHERE, AgentPose, ViewPoint
from clipnav.storage.errors import UserError


class SimState:
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

    __slots__ = ("_camera", "_pictures", "_pose", "_step")

    scanId = property(attrgetter("_pose.viewpoint.scan_id"))
    step = property(attrgetter("_step"))
    heading = property(attrgetter("_pose.heading"))
    elevation = property(attrgetter("_pose.elevation"))
    viewIndex = property(attrgetter("_pose.view_index"))
    location = property(attrgetter("_pose.viewpoint.location"))

    def __init__(
        self,
        camera: SimulatorCamera | BlankCamera,
        pose: AgentPose = NOWHERE,
        step: int = 0,
        pictures: tuple[Mat, Mat] | None = None,
    ) -> None:
        self._camera, self._pose, self._step, self._pictures = camera, pose, step, pictures

    def __reduce__(self) -> tuple[type[SimState], tuple[object, ...]]:
        pictures = self._rendered() if self._camera.rendering else self._pictures
        return type(self), (BlankCamera(self._camera.size), self._pose, self._step, pictures)

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


class Simulator:
    """Simulator with a batch of agents; the package docstring lists differences from MatterSim.

    An initialised simulator ignores changes of settings, except for the camera's field of view and
    resolution and the limits of elevation, which change navigation but not images.
    """

    _scans_are_listed = True  # in scans.txt

    def __init__(self) -> None:
        self._settings = SimulatorSettings()
        self._engine: Engine | None = None
        self._camera: SimulatorCamera | None = None
        self._states: list[SimState] = []
        self._random = RandomEngine()
        self._began: float | None = None  # time of the first episode
        self._process = 0.0  # seconds in episodes and actions

    def setRenderingEnabled(self, value: bool, /) -> None:
        """Set whether states have images; otherwise no skybox is read."""
        self._set("rendering", bool(value))

    def setCameraResolution(self, width: int, height: int, /) -> None:
        """Set the size of images in pixels."""
        width, height = integer(width), integer(height)
        if min(width, height) < 1:
            raise UserError(f"MatterSim: an image cannot have {width} x {height} pixels")
        self._settings.width, self._settings.height = width, height

    def setCameraVFOV(self, vfov: float, /) -> None:
        """Set the vertical field of view in radians."""
        vfov = real(vfov)
        if not math.isfinite(vfov):
            raise UserError(f"MatterSim: the field of view cannot be {vfov}")
        self._settings.vfov = vfov

    def setElevationLimits(self, low: float, high: float, /) -> bool:
        """Set the range of continuous elevations in radians; return whether it is valid.

        It must include the horizon and lie within pi / 2 of it.
        """
        low, high = real(low), real(high)
        if not -math.pi / 2.0 < low < 0.0 < high < math.pi / 2.0:
            return False
        self._settings.min_elevation, self._settings.max_elevation = low, high
        return True

    def setDiscretizedViewingAngles(self, value: bool, /) -> None:
        """Set whether angles change in steps of 30 degrees, by the sign of an action."""
        self._set("discretized", bool(value))

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
        settings = self._settings
        if self._engine is not None:
            return
        camera = SimulatorCamera(settings, Path(settings.dataset_path))
        if settings.preloading and settings.rendering:
            camera.open()
        self._camera, self._engine = camera, Engine(settings, self._scans_are_listed)
        self._states = [SimState(camera) for _ in range(settings.batch_size)]
        self._random = RandomEngine(settings.seed)

    def close(self) -> None:
        """Release buildings and skyboxes; the simulator can be configured and used again."""
        self._engine = None
        if self._camera is not None:
            self._camera.close()

    def newEpisode(
        self,
        scanIds: Sequence[str],
        viewpointIds: Sequence[str],
        headings: Sequence[float],
        elevations: Sequence[float],
        /,
    ) -> None:
        """Start an episode of each agent at a viewpoint with a heading and elevation in radians."""
        began = self._start_clock()
        poses = self._initialized_engine().start(scanIds, viewpointIds, headings, elevations)
        for state, pose in zip(self._states, poses, strict=True):
            state._pose, state._step, state._pictures = pose, 0, None
        self._process += time.perf_counter() - began

    def newRandomEpisode(self, scanIds: Sequence[str], /) -> None:
        """Start an episode of each agent at a random viewpoint of a scan, with elevation 0.

        As in MatterSim, each call draws new viewpoints, but the same headings.
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
        """Move each agent to one of its navigable locations, then turn it."""
        if self._engine is None:
            raise RuntimeError("MatterSim: newEpisode must be called before makeAction")
        began = self._start_clock()
        states = self._states
        poses = self._engine.act([s._pose for s in states], indices, headings, elevations)
        for state, pose in zip(states, poses, strict=True):
            state._pose = pose
            state._step += 1
            state._pictures = None
        self._process += time.perf_counter() - began

    def resetTimers(self) -> None:
        """Reset all timers and the number of frames to zero."""
        self._began, self._process = None, 0.0
        if self._camera is not None:
            self._camera.frames, self._camera.seconds = 0, 0.0

    def timingInfo(self) -> str:
        """Return a text with frames and times since the first episode or the last reset."""
        camera = self._camera
        frames, rendering = (camera.frames, camera.seconds) if camera else (0, 0.0)
        wall = 0.0 if self._began is None else time.perf_counter() - self._began
        process = self._process + rendering
        return (
            f"Rendered {frames} frames\n"
            f"Wall time: {1000 * wall:.0f} ms, ({frames / (wall or math.inf):.1f} fps)\n"
            f"Process time: {1000 * process:.0f} ms, ({frames / (process or math.inf):.1f} fps)\n"
            f"\tRendering: {1000 * rendering:.0f} ms\n"
        )

    def _set(self, name: str, value: object) -> None:
        if self._engine is None:
            setattr(self._settings, name, value)

    def _start_clock(self) -> float:
        """Start the wall clock unless it is running, and return the current time."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        return now

    def _initialized_engine(self) -> Engine:
        self.initialize()
        assert self._engine is not None
        return self._engine
