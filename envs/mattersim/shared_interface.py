"""What both versions of the interface have in common."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from envs.mattersim.arguments import field_of_view, picture_size, real
from envs.mattersim.engine import Engine
from envs.mattersim.pictures import BlankCamera, Camera
from envs.mattersim.places import NOWHERE, View
from envs.mattersim.settings import Settings


class StateFields:
    """Fields that a state has in both versions; they can be read and not be set."""

    __slots__ = ("_camera", "_step", "_view")

    scanId = property(attrgetter("_view.place.scan_id"))
    step = property(attrgetter("_step"))
    heading = property(attrgetter("_view.heading"))
    elevation = property(attrgetter("_view.elevation"))
    viewIndex = property(attrgetter("_view.view_index"))

    def __init__(self, camera: Camera | BlankCamera, view: View = NOWHERE, step: int = 0) -> None:
        self._camera = camera
        self._view = view
        self._step = step


class ConfiguredSimulator:
    """Settings of a simulator, and what comes of them on initialisation.

    Settings that are given to an initialised simulator are ignored but for the camera's field of
    view and resolution and the limits of elevation, which change navigation and leave pictures as
    they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._camera: Camera | None = None

    def setRenderingEnabled(self, value: bool, /) -> None:
        """Set whether states have pictures; without, no skybox is needed."""
        self._set("rendering", bool(value))

    def setCameraResolution(self, width: int, height: int, /) -> None:
        """Set the size of pictures in pixels."""
        width, height = picture_size(width), picture_size(height)
        self._settings.width, self._settings.height = width, height

    def setCameraVFOV(self, vfov: float, /) -> None:
        """Set the vertical field of view in radians."""
        self._settings.vfov = field_of_view(vfov)

    def setElevationLimits(self, low: float, high: float, /) -> bool:
        """Set the range of elevation in radians, for continuous angles; whether it was taken."""
        return self._settings.set_elevation_limits(real(low), real(high))

    def setDiscretizedViewingAngles(self, value: bool, /) -> None:
        """Set whether angles go in steps of 30 degrees, by the sign of an action."""
        self._set("discretized", bool(value))

    def close(self) -> None:
        """Let go of buildings and panoramas; the simulator can be set up and used again."""
        self._engine = None
        if self._camera is not None:
            self._camera.close()

    def _set(self, name: str, value: object) -> None:
        if self._engine is None:
            setattr(self._settings, name, value)

    def _open(self, dataset_path: Path, listed: bool) -> Camera:
        """Make camera and engine; a camera that cannot preload its pictures leaves neither."""
        camera = Camera(self._settings, dataset_path)
        if self._settings.preloading and self._settings.rendering:
            camera.open()
        self._camera = camera
        self._engine = Engine(self._settings, listed)
        return camera
