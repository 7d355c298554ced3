"""Base classes of the states and simulators of both versions of the interface."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from clipnav.envs.mattersim.arguments import field_of_view, picture_size, real
from clipnav.envs.mattersim.engine import Engine
from clipnav.envs.mattersim.pictures import BlankCamera, Camera
from clipnav.envs.mattersim.settings import SimulatorSettings
from clipnav.envs.mattersim.viewpoints import NOWHERE, AgentPose


class StateFields:
    """Read-only fields of a state in both versions."""

    __slots__ = ("_camera", "_pose", "_step")

    scanId = property(attrgetter("_pose.viewpoint.scan_id"))
    step = property(attrgetter("_step"))
    heading = property(attrgetter("_pose.heading"))
    elevation = property(attrgetter("_pose.elevation"))
    viewIndex = property(attrgetter("_pose.view_index"))

    def __init__(
        self, camera: Camera | BlankCamera, pose: AgentPose = NOWHERE, step: int = 0
    ) -> None:
        self._camera = camera
        self._pose = pose
        self._step = step


class ConfiguredSimulator:
    """Settings of a simulator, and the engine and camera that initialisation creates from them.

    An initialised simulator ignores changes of settings, except for the camera's field of view and
    resolution and the limits of elevation, which change navigation but not images.
    """

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._camera: Camera | None = None

    def setRenderingEnabled(self, value: bool, /) -> None:
        """Set whether states have images; otherwise no skybox is read."""
        self._set("rendering", bool(value))

    def setCameraResolution(self, width: int, height: int, /) -> None:
        """Set the size of images in pixels."""
        width, height = picture_size(width), picture_size(height)
        self._settings.width, self._settings.height = width, height

    def setCameraVFOV(self, vfov: float, /) -> None:
        """Set the vertical field of view in radians."""
        self._settings.vfov = field_of_view(vfov)

    def setElevationLimits(self, low: float, high: float, /) -> bool:
        """Set the range of continuous elevations in radians; return whether it is valid."""
        return self._settings.set_elevation_limits(real(low), real(high))

    def setDiscretizedViewingAngles(self, value: bool, /) -> None:
        """Set whether angles change in steps of 30 degrees, by the sign of an action."""
        self._set("discretized", bool(value))

    def close(self) -> None:
        """Release buildings and skyboxes; the simulator can be configured and used again."""
        self._engine = None
        if self._camera is not None:
            self._camera.close()

    def _set(self, name: str, value: object) -> None:
        if self._engine is None:
            setattr(self._settings, name, value)

    def _open(self, dataset_path: Path, listed: bool) -> Camera:
        """Create camera and engine, or neither if preloading fails."""
        camera = Camera(self._settings, dataset_path)
        if self._settings.preloading and self._settings.rendering:
            camera.open()
        self._camera = camera
        self._engine = Engine(self._settings, listed)
        return camera
