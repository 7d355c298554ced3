"""ViewPictures: colours and depth of viewpoints in any direction, from cached panoramas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from clipnav.envs.panoramas.cube_maps import whole_reduction
from clipnav.envs.panoramas.views import grid36, pooled, sampled, view_grid
from clipnav.envs.pictures.depth import inverse_distances, planar_depth
from clipnav.envs.pictures.panorama_files import WIDTHS, NoPictureError, PanoramaSource
from clipnav.storage.features.view_grid import VFOV

if TYPE_CHECKING:
    import torch

MEMORY = 256 * 2**20  # bytes of decoded panoramas

# A panorama is fine enough if its pixels are at most 1 / 0.75 times as large as those of a view.
# Square views of 224 pixels and 60 degrees are then sampled from 1024 columns, as CLIP's features
# of the built-in houses are, and views of 640 x 480 pixels from 2048 columns.
_FINE_ENOUGH = 0.75


class ViewPose(NamedTuple):
    """Camera at a viewpoint.

    Attributes:
        scan: Name of the building.
        viewpoint: Id of the viewpoint.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
    """

    scan: str
    viewpoint: str
    heading: float
    elevation: float = 0.0


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
                grid = view_grid([poses[row][2:] for row in rows], self.shape, self.vfov)
                pictures[rows] = sampled(self._colours(scan, viewpoint).float(), grid)
        return pictures

    def depth(self, poses: Sequence[ViewPose]) -> np.ndarray:
        """Return the depth of N pictures along their optical axes, (N, height, width) float32.

        It is in metres, inf where nothing is hit, and NaN where it is unknown.
        """
        depth = np.empty((len(poses), *self.shape), np.float32)
        with _one_thread():
            for scan, viewpoint, rows in _by_viewpoint(poses):
                grid = view_grid([poses[row][2:] for row in rows], self.shape, self.vfov).numpy()
                depth[rows] = planar_depth(self._distances(scan, viewpoint), grid, self.vfov)
        return depth

    def views36(self, scan: str, viewpoint: str) -> np.ndarray:
        """Return the 36 views of a viewpoint in MatterSim's order, (36, height, width, 3) uint8."""
        with _one_thread():
            return sampled(self._colours(scan, viewpoint).float(), grid36(self.shape, self.vfov))

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
        return inverse_distances(distances)

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
    """Yield each viewpoint with the rows of its poses."""
    rows: dict[tuple[str, str], list[int]] = {}
    for row, (scan, viewpoint, *_) in enumerate(poses):
        rows.setdefault((scan, viewpoint), []).append(row)
    for (scan, viewpoint), own in rows.items():
        yield scan, viewpoint, own
