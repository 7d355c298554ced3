"""ViewPictures: colours and depth of viewpoints in any direction, from cached panoramas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clipnav.envs.panoramas.cube_maps import whole_reduction
from clipnav.envs.panoramas.views import grid36, pooled, sampled, view_grid
from clipnav.envs.pictures.panorama_files import (
    MILLIMETRES,
    NOTHING,
    UNKNOWN,
    WIDTHS,
    NoPictureError,
    PanoramaSource,
)
from clipnav.storage.features.view_grid import VFOV

if TYPE_CHECKING:
    import torch

# Four neighbours are one surface if their distances differ by less than this factor. The floor is,
# up to 20 m, in a panorama of 1024 columns at eye height.
_SAME_SURFACE = 1.1
MEMORY = 256 * 2**20  # bytes of decoded panoramas
# A panorama is fine enough if its pixels are at most 1 / 0.75 times as large as those of a view.
# Square views of 224 pixels and 60 degrees are then sampled from 1024 columns, as CLIP's features
# of the built-in houses are, and views of 640 x 480 pixels from 2048 columns.
_FINE_ENOUGH = 0.75


def _inverse_distances(distances: np.ndarray) -> np.ndarray:
    """Convert distances of a panorama for sampling.

    Args:
        distances: (H, 2H) uint16 millimetres, see `PanoramaSource.distance`.

    Returns:
        (H, 2H) float32 in 1 / metres, 0 where rays hit nothing and NaN where they are unknown.
    """
    known = np.where(distances == UNKNOWN, np.nan, distances.astype(np.float32))
    inverse = np.float32(MILLIMETRES) / known
    inverse[distances == NOTHING] = 0.0
    return inverse.astype(np.float32)


def _planar_depth(inverse: np.ndarray, grid: np.ndarray, vfov: float) -> np.ndarray:
    """Sample depth along the optical axis of each view.

    The inverse of the distance to a plane is linear in the direction, so it is interpolated between
    the four nearest pixels if they show one surface. At an edge the nearest pixel decides.

    Args:
        inverse: (H, 2H) from `_inverse_distances`.
        grid: (N, height, width, 2) coordinates from `clipnav.envs.panoramas.views.view_grid`.
        vfov: Vertical field of view in radians.

    Returns:
        (N, height, width) float32 metres, inf where rays hit nothing and NaN where unknown.
    """
    rows, columns = inverse.shape
    x = (grid[..., 0] + 1) * np.float32(columns / 2) - np.float32(0.5)
    y = (grid[..., 1] + 1) * np.float32(rows / 2) - np.float32(0.5)
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    fx, fy = x - left, y - top
    across = left % columns, (left + 1) % columns
    down = top.clip(0, rows - 1), (top + 1).clip(0, rows - 1)
    corners = np.stack([inverse[row, column] for row in down for column in across])
    smooth = corners.max(0) < _SAME_SURFACE * corners.min(0)
    upper = corners[0] + fx * (corners[1] - corners[0])
    lower = corners[2] + fx * (corners[3] - corners[2])
    nearest = np.where(
        fy < 0.5,
        np.where(fx < 0.5, corners[0], corners[1]),
        np.where(fx < 0.5, corners[2], corners[3]),
    )
    value = np.where(smooth, upper + fy * (lower - upper), nearest)
    height, width = grid.shape[1:3]
    focal = height / 2 / np.tan(vfov / 2)
    x, y = np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2
    # Cosine between each pixel's ray and the optical axis.
    cosine = focal / np.sqrt(focal**2 + x[None, :] ** 2 + y[:, None] ** 2)
    with np.errstate(divide="ignore"):
        return (cosine.astype(np.float32) / value).astype(np.float32)


class ViewPose(NamedTuple):
    """Camera at a viewpoint.

    Attributes:
        scan: Name of the building.
        viewpoint: Id of the viewpoint.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        vfov: Vertical field of view in radians; None for that of the pictures.
    """

    scan: str
    viewpoint: str
    heading: float
    elevation: float = 0.0
    vfov: float | None = None


class ViewPictures:
    """Perspective pictures at viewpoints, sampled from panoramas.

    Panoramas are decoded and reduced to the resolution of the pictures once, and the last used ones
    are kept in memory. Two threads may use one object.

    Args:
        size: Height and width of a picture in pixels, or one number for both.
        vfov: Vertical field of view in radians; pixels are square.
        memory: Maximum number of bytes of decoded colours in memory, and of distances if depth is
            read; one panorama is always kept.
    """

    def __init__(
        self,
        source: PanoramaSource,
        size: int | tuple[int, int] = 224,
        vfov: float = VFOV,
        memory: int = MEMORY,
    ) -> None:
        self._arguments = source, size, vfov, memory
        self._source = source
        self.shape = (size, size) if isinstance(size, int) else size
        self.vfov = vfov
        self.width = panorama_width(self.shape, vfov)
        # A factor that does not divide the panorama would shift it.
        self._factor = whole_reduction(self.width // 2, _fineness(self.width, self.shape, vfov))
        colours = 3 * (self.width // self._factor) ** 2 // 2
        self._colours = lru_cache(max(1, memory // colours))(self._read_colours)
        distances = 4 * self.width**2 // 2
        self._distances = lru_cache(max(1, memory // distances))(self._read_distances)

    def rgb(self, poses: Sequence[ViewPose]) -> np.ndarray:
        """Return the colours of N pictures, (N, height, width, 3) uint8."""
        pictures = np.empty((len(poses), *self.shape, 3), np.uint8)
        with _one_thread():
            for scan, viewpoint, rows in _by_viewpoint(poses):
                grid = self._grid([poses[row] for row in rows])
                pictures[rows] = sampled(self._colours(scan, viewpoint).float(), grid)
        return pictures

    def depth(self, poses: Sequence[ViewPose]) -> np.ndarray:
        """Return the depth of N pictures along their optical axes, (N, height, width) float32.

        It is in metres, inf where nothing is hit, and NaN where it is unknown.
        """
        depth = np.empty((len(poses), *self.shape), np.float32)
        with _one_thread():
            for scan, viewpoint, rows in _by_viewpoint(poses):
                grid = self._grid([poses[row] for row in rows]).numpy()
                vfov = poses[rows[0]].vfov or self.vfov
                depth[rows] = _planar_depth(self._distances(scan, viewpoint), grid, vfov)
        return depth

    def views36(self, scan: str, viewpoint: str) -> np.ndarray:
        """Return the 36 views of a viewpoint in MatterSim's order, (36, height, width, 3) uint8."""
        with _one_thread():
            return sampled(self._colours(scan, viewpoint).float(), grid36(self.shape, self.vfov))

    def _grid(self, poses: Sequence[ViewPose]) -> "torch.Tensor":
        """Return the coordinates of pictures with one field of view in their panorama."""
        angles = [(pose.heading, pose.elevation) for pose in poses]
        return view_grid(angles, self.shape, poses[0].vfov or self.vfov)

    def _read_colours(self, scan: str, viewpoint: str) -> "torch.Tensor":
        import torch

        image = pooled(self._source.rgb(scan, viewpoint, self.width), self._factor)
        return image.round_().to(torch.uint8)

    def _read_distances(self, scan: str, viewpoint: str) -> np.ndarray:
        distances = self._source.distance(scan, viewpoint, self.width)
        if not distances.any():
            raise NoPictureError(
                f"viewpoint {viewpoint} of {scan}: no distances are known; create its depth skybox "
                "with depth_to_skybox.py of the Matterport3D Simulator, or use colours only"
            )
        return _inverse_distances(distances)

    def __reduce__(self) -> tuple[Any, ...]:
        return ViewPictures, self._arguments


def panorama_width(shape: tuple[int, int], vfov: float) -> int:
    """Return the number of columns of the panoramas that views of a size are sampled from."""
    fine = [width for width in WIDTHS if _fineness(width, shape, vfov) >= _FINE_ENOUGH]
    return fine[0] if fine else WIDTHS[-1]


def _fineness(width: int, shape: tuple[int, int], vfov: float) -> float:
    """Return the ratio of a panorama's resolution to that of a view at its centre."""
    focal = shape[0] / 2 / np.tan(vfov / 2)
    return width / (2 * np.pi) / focal


class _OneThread:
    """Lets torch use one thread; several threads of this process may be inside at once.

    The threads of OpenMP do not exist in a forked process, such as those of `AsyncVectorEnv`, which
    would wait for them forever.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._usual = 1  # torch's number of threads outside of the block

    @contextmanager
    def __call__(self) -> Iterator[None]:
        import torch

        with self._lock:
            threads = torch.get_num_threads()
            # The first use of torch in a thread takes the number that was set last in any thread.
            if self._inside and threads == 1:
                threads = self._usual
            self._usual = threads
            self._inside += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                torch.set_num_threads(threads)


_one_thread = _OneThread()


def _by_viewpoint(poses: Sequence[ViewPose]) -> Iterator[tuple[str, str, list[int]]]:
    """Yield each viewpoint with the rows of its poses of one field of view."""
    rows: dict[tuple[str, str, float | None], list[int]] = {}
    for row, pose in enumerate(poses):
        rows.setdefault((pose.scan, pose.viewpoint, pose.vfov), []).append(row)
    for (scan, viewpoint, _), own in rows.items():
        yield scan, viewpoint, own
