"""Cameras of continuous environments: pictures, depth and CLIP features of what an agent sees."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from clipnav.envs.continuous.coordinates import heading_to_yaw, to_habitat
from clipnav.envs.continuous.settings import PANORAMA_VIEWS, ContinuousSettings, Size
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.storage.errors import UserError

Observation = dict[str, np.ndarray]

_FEATURES = {"clip": "rgb", "clip_panorama": "rgb_panorama"}
_POSE = 6  # scan, position, heading and tilt of a camera


class ImageEncoder(Protocol):
    """Encoder of pictures, such as `clipnav.encoders.clip.ClipEncoder`."""

    embed_dim: int

    def pooled(self, images: np.ndarray) -> np.ndarray:
        """Return the features (N, D) of pictures (N, H, W, 3) uint8."""
        ...


class Sensors:
    """The sensors of B agents, which draw only what is observed and only after an agent has moved.

    Panoramas contain the pictures at the headings 0, 30, ... degrees counter-clockwise from the
    agent's, as in VLN-CE's waypoint task. "globalgps" and "heading" have VLN-CE's names and values:
    x and z of the position in habitat's axes, and yaw in radians counter-clockwise.
    """

    def __init__(
        self,
        settings: ContinuousSettings,
        simulator: ContinuousSimulator,
        num_agents: int,
        encoder: ImageEncoder | None = None,
    ) -> None:
        if settings.needs_encoder and encoder is None:
            raise UserError(
                "observe contains 'clip' or 'clip_panorama': pass encoder=ClipEncoder.load(...)"
            )
        if isinstance(encoder, str):
            raise UserError(
                f"encoder {encoder!r} is a name: pass encoder=ClipEncoder.load({encoder!r})"
            )
        if encoder is not None and not settings.needs_encoder:
            raise UserError("encoder has no effect, because observe contains no 'clip' sensor")
        self._settings, self._simulator, self._encoder = settings, simulator, encoder
        self._poses = np.full((num_agents, _POSE), np.nan)
        self._last: Observation = {
            sensor: np.zeros((num_agents, *space.shape), space.dtype)  # type: ignore[arg-type]
            for sensor, space in self.space().items()
        }
        drawn = {_FEATURES.get(sensor, sensor) for sensor in settings.observe}
        self._ahead = [name for name in ("rgb", "depth") if name in drawn]
        self._around = [name for name in ("rgb", "depth") if f"{name}_panorama" in drawn]

    def space(self) -> dict[str, spaces.Space[Any]]:
        """Return the observation space of one agent by sensor."""
        settings = self._settings
        low, high = (0, 1) if settings.normalize_depth else (settings.min_depth, settings.max_depth)
        width = self._encoder.embed_dim if self._encoder else 0
        known = {
            "rgb": spaces.Box(0, 255, (*settings.rgb_size, 3), np.uint8),
            "depth": spaces.Box(low, high, (*settings.depth_size, 1), np.float32),
            "clip": spaces.Box(-np.inf, np.inf, (width,), np.float32),
        }
        for name, box in list(known.items()):
            shape = (PANORAMA_VIEWS, *box.shape)
            low, high = (np.broadcast_to(edge, shape) for edge in (box.low, box.high))
            known[f"{name}_panorama"] = spaces.Box(low, high, dtype=box.dtype.type)
        known["globalgps"] = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        known["heading"] = spaces.Box(-np.pi, np.pi, (1,), np.float32)
        return {sensor: known[sensor] for sensor in settings.observe}

    def observe(
        self,
        scans: Sequence[str],
        positions: np.ndarray,
        headings: np.ndarray,
        tilts: np.ndarray,
    ) -> Observation:
        """Return new arrays with the observations of B agents.

        Args:
            positions: (B, 3) points under the feet in metres.
            headings: (B,) radians clockwise from +y.
            tilts: (B,) radians above the horizon.
        """
        if not self._last:
            return {}
        poses = np.column_stack([positions, headings, tilts, list(map(hash, scans))])
        moved = np.flatnonzero((poses != self._poses).any(axis=1))
        if moved.size:
            names = [scans[int(agent)] for agent in moved]
            seen = self._look(names, positions[moved], headings[moved], tilts[moved])
            for sensor, values in seen.items():
                self._last[sensor][moved] = values
            self._poses = poses
        return {sensor: values.copy() for sensor, values in self._last.items()}

    def _look(
        self, scans: list[str], positions: np.ndarray, headings: np.ndarray, tilts: np.ndarray
    ) -> Observation:
        """Return the observations of M agents."""
        pictures: Observation = {
            "globalgps": to_habitat(positions)[:, [0, 2]],
            "heading": heading_to_yaw(headings)[:, None],
        }
        count = len(scans)
        if self._around:
            turns = np.arange(PANORAMA_VIEWS) * (2 * np.pi / PANORAMA_VIEWS)
            drawn = self._simulator.draw(
                [scan for scan in scans for _ in turns],
                positions.repeat(PANORAMA_VIEWS, axis=0),
                (headings[:, None] - turns).ravel(),
                tilts.repeat(PANORAMA_VIEWS),
                self._around,
            )
            for name, values in drawn.items():
                views = values.reshape(count, PANORAMA_VIEWS, *values.shape[1:])
                pictures[f"{name}_panorama"] = views
                pictures[name] = views[:, 0]
        ahead = [name for name in self._ahead if name not in pictures]
        if ahead:
            pictures |= self._simulator.draw(scans, positions, headings, tilts, ahead)
        return {sensor: self._sense(sensor, pictures) for sensor in self._settings.observe}

    def _sense(self, sensor: str, pictures: Observation) -> np.ndarray:
        if sensor in _FEATURES:
            assert self._encoder is not None
            images = pictures[_FEATURES[sensor]]
            flat = self._encoder.pooled(images.reshape(-1, *images.shape[-3:]))
            return flat.reshape(*images.shape[:-3], -1)
        if sensor.startswith("depth"):
            return depth_reading(pictures[sensor], self._settings)[..., None]
        return pictures[sensor]


def depth_reading(metres: np.ndarray, settings: ContinuousSettings) -> np.ndarray:
    """Return depth as the sensor reports it: clipped and, by default, scaled to 0..1.

    Args:
        metres: Planar depth of any shape, 0 where nothing was hit.
    """
    # The difference of the rounded ends: the rounded difference may be less, and depth above 1.
    low, high = np.float32(settings.min_depth), np.float32(settings.max_depth)
    clipped = np.clip(metres, low, high, dtype=np.float32)
    return (clipped - low) / (high - low) if settings.normalize_depth else clipped


@lru_cache(maxsize=8)
def camera_rays(size: Size, hfov: float) -> np.ndarray:
    """Return the unit directions (H * W, 3) float32 of a level camera that looks along +y.

    Args:
        size: Height and width in pixels.
        hfov: Horizontal field of view in degrees.
    """
    height, width = size
    focal = width / 2 / np.tan(np.radians(hfov) / 2)
    x = np.arange(width) + 0.5 - width / 2
    y = np.arange(height) + 0.5 - height / 2
    rays = np.empty((height, width, 3))
    rays[..., 0], rays[..., 1], rays[..., 2] = x, focal, -y[:, None]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    flat = rays.reshape(-1, 3).astype(np.float32)
    flat.flags.writeable = False
    return flat
