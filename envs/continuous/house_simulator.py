"""HouseSimulator: floors and cameras of the built-in houses."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.sensors import camera_rays
from clipnav.envs.continuous.settings import ContinuousSettings, Size
from clipnav.envs.houses.building.house import House, house_cache_dir
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.panoramas.cameras import camera_turn
from clipnav.envs.panoramas.ray_tracer import RayTracer

# All houses of the set mini. A ray tracer takes about 60 MB, a floor with its distances 45 MB.
_HOUSES_KEPT = 40
_CAMERAS_PER_CALL = 8  # bounds the memory of rays to about 50 MB


class HouseSimulator:
    """The floors of built-in houses, and colour and depth pictures by ray tracing.

    A pixel is one ray, so a picture does not depend on what else is observed; one trace serves both
    pictures if they have the same size. Houses are built on first access; the simulators of a
    process share them.

    Attributes:
        settings: Cameras, and the radius of the agent.
    """

    def __init__(self, settings: ContinuousSettings) -> None:
        self.settings = settings

    def resized(self, size: Size) -> "HouseSimulator":
        """Return a simulator whose pictures have another height and width, for frames."""
        return HouseSimulator(replace(self.settings, rgb_size=size, depth_size=size))

    def floor(self, scan: str) -> ContinuousFloor:
        """Return the floor of a house for the body of the agent."""
        return _floor(scan, self.settings.agent_radius, self.settings.agent_height)

    def draw(
        self,
        scans: Sequence[str],
        positions: np.ndarray,
        headings: np.ndarray,
        tilts: np.ndarray,
        sensors: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """Draw the pictures of N cameras; see `ContinuousSimulator.draw`.

        The cameras of a house are traced in one call.
        """
        settings = self.settings
        pictures = {
            "rgb": np.empty((len(scans), *settings.rgb_size, 3), np.uint8),
            "depth": np.empty((len(scans), *settings.depth_size), np.float32),
        }
        eyes = np.array(positions, np.float32)
        eyes[:, 2] += settings.camera_height
        turns = np.array(
            [camera_turn(*pose) for pose in zip(headings, tilts, strict=True)], np.float32
        )
        names = np.asarray(scans, dtype=object)
        for scan in dict.fromkeys(scans):
            cameras = np.flatnonzero(names == scan)
            for start in range(0, len(cameras), _CAMERAS_PER_CALL):
                part = cameras[start : start + _CAMERAS_PER_CALL]
                drawn = {}
                if "rgb" in sensors:
                    drawn = self._seen(scan, eyes[part], turns[part], settings.rgb_size, True)
                if "depth" in sensors and not (drawn and settings.rgb_size == settings.depth_size):
                    drawn |= self._seen(scan, eyes[part], turns[part], settings.depth_size, False)
                for sensor in sensors:
                    pictures[sensor][part] = drawn[sensor]
        return {sensor: pictures[sensor] for sensor in sensors}

    def _seen(
        self, scan: str, eyes: np.ndarray, turns: np.ndarray, size: Size, coloured: bool
    ) -> dict[str, np.ndarray]:
        """Return the planar depths (M, H, W) and perhaps the colours (M, H, W, 3) of M cameras."""
        tracer, hfov, seen = _tracer(scan), self.settings.hfov, {}
        level = camera_rays(size, hfov)
        directions = (level @ turns.transpose(0, 2, 1)).reshape(-1, 3)  # (M * H * W, 3)
        origins = np.repeat(eyes, len(level), axis=0)
        if coloured:
            pixel_angle = 2 * np.tan(np.radians(hfov) / 2) / size[1]
            hits = tracer.trace(origins, directions, pixel_angle)
            seen["rgb"], distances = hits.rgb.reshape(len(eyes), *size, 3), hits.distance
        else:
            distances = tracer.distances(origins, directions)
        planar = distances.reshape(len(eyes), -1) * level[:, 1]
        planar[np.isinf(planar)] = 0.0  # where nothing was hit, as in habitat
        return {**seen, "depth": planar.reshape(len(eyes), *size)}


@lru_cache(maxsize=1)
def _houses() -> HousePanoramas:
    return HousePanoramas()


@lru_cache(maxsize=2)  # a floor and a ray tracer are usually built one after the other
def _house(scan: str) -> House:
    return _houses().house(scan)


@lru_cache(maxsize=_HOUSES_KEPT)
def _tracer(scan: str) -> RayTracer:
    return RayTracer(_house(scan).scene)


@lru_cache(maxsize=_HOUSES_KEPT)
def _floor(scan: str, radius: float, height: float) -> ContinuousFloor:
    return ContinuousFloor.of_house(_house(scan), radius, height, house_cache_dir())
