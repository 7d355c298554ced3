"""Frames of MatterSim's camera, rendered from skyboxes on the CPU."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clipnav.connectivity import read_scans
from clipnav.envs.panoramas.cameras import camera_turn, perspective_camera
from clipnav.envs.panoramas.cube_maps import cube_strip, draw, rays, rotated, sample_cube
from clipnav.envs.panoramas.skyboxes import DamagedSkyboxError, read_depth, read_skybox, skybox_axes
from clipnav.storage.errors import UserError

if TYPE_CHECKING:
    import torch

# Decoding mostly waits for the disk and libjpeg, which both release the interpreter's lock.
_PRELOADING_THREADS = 8

_Viewpoint = tuple[str, str]


class _Skybox(NamedTuple):
    """Colours (S, 6 S, 3) uint8 RGB, and distances (S, 6 S) uint16 or None."""

    rgb: np.ndarray
    depth: np.ndarray | None


class Renderer:
    """Renders the camera at a viewpoint, as MatterSim v0.2 does.

    A pixel is a bilinear sample of one face; faces are not blended. Depth is the distance from the
    camera plane in quarters of a millimetre, with 16 bits; MatterSim's depth passes through a
    framebuffer of 8 bits and has steps of 6.4 cm.

    Args:
        vfov: Vertical field of view in radians.
    """

    def __init__(
        self,
        dataset_path: Path,
        width: int,
        height: int,
        vfov: float,
        depth: bool,
        preload: bool,
        cache_size: int,
        connectivity_dir: Path = Path("connectivity"),
    ):
        self._dataset = Path(dataset_path)
        self._size = (height, width)
        self._with_depth = depth
        self._cache_size = cache_size
        self._connectivity = Path(connectivity_dir)
        self._axes: dict[str, dict[str, np.ndarray]] = {}
        self._kept: OrderedDict[_Viewpoint, _Skybox] = OrderedDict()
        # Sampling requires floats (here BGR), four times the size of the skybox. They are kept for
        # one viewpoint only, because most consecutive frames are rendered at the same viewpoint.
        self._ready: tuple[_Viewpoint, torch.Tensor, torch.Tensor | None] | None = None
        self._level = rays(perspective_camera(self._size, 0.0, 0.0, vfov), self._size)
        if preload:
            viewpoints = [
                (scan, viewpoint)
                for scan in read_scans(self._connectivity)
                for viewpoint in self._scan_axes(scan)
            ]
            self._cache_size = len(viewpoints)
            with ThreadPoolExecutor(_PRELOADING_THREADS) as pool:
                self._kept.update(zip(viewpoints, pool.map(self._read, viewpoints), strict=True))

    def render(
        self, scan_id: str, viewpoint_id: str, heading: float, elevation: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Render a frame; heading and elevation are in radians.

        Returns:
            Colours (H, W, 3) uint8 BGR and depth (H, W, 1) uint16, both new arrays.
        """
        axes = self._scan_axes(scan_id)[viewpoint_id]
        viewpoint = scan_id, viewpoint_id
        if self._ready is None or self._ready[0] != viewpoint:
            skybox = self._skybox(viewpoint)
            depth = None if skybox.depth is None else cube_strip(skybox.depth)
            self._ready = viewpoint, cube_strip(skybox.rgb[..., ::-1]), depth
        _, colours, distances = self._ready
        turn = axes @ camera_turn(heading, elevation)
        bgr = draw(colours, turn, self._level)
        if distances is None:
            return bgr, np.zeros((*self._size, 1), np.uint16)
        # `_level` contains unit vectors with +y forward, whose y is the cosine to the optical axis.
        planar = sample_cube(distances, rotated(turn, self._level))[0] * self._level[1]
        return bgr, np.rint(planar).astype(np.uint16)[..., None]

    def _scan_axes(self, scan: str) -> dict[str, np.ndarray]:
        if scan not in self._axes:
            self._axes[scan] = skybox_axes(scan, self._connectivity)
        return self._axes[scan]

    def _skybox(self, viewpoint: _Viewpoint) -> _Skybox:
        skybox = self._kept.pop(viewpoint, None) or self._read(viewpoint)
        self._kept[viewpoint] = skybox  # now the most recently used
        while len(self._kept) > self._cache_size:
            self._kept.popitem(last=False)
        return skybox

    def _read(self, viewpoint: _Viewpoint) -> _Skybox:
        kind = "RGB"
        try:
            rgb = read_skybox(self._dataset, *viewpoint)
            kind = "depth"
            depth = read_depth(self._dataset, *viewpoint) if self._with_depth else None
        except (FileNotFoundError, DamagedSkyboxError) as error:
            # The type and the beginning of the message are those of MatterSim.
            message = f"MatterSim: Could not open skybox {kind} files at: {error}"
            raise UserError(message) from error
        return _Skybox(rgb, depth)
