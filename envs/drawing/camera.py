"""Perspective views of panoramas, at a viewpoint and during the move to the next one."""

import math
from dataclasses import dataclass

import numpy as np

_CEILING = 1.2  # metres above the camera
_NEAREST = 0.4  # least distance in metres of floor and ceiling from the camera
_FADE = (0.3, 0.7)  # progress of a move between which one panorama fades into the next


@dataclass(frozen=True)
class Pose:
    """Direction of a camera in radians: heading clockwise from +y, pitch above the horizon."""

    heading: float
    pitch: float


@dataclass(frozen=True)
class Standpoint:
    """A panorama and its position.

    Attributes:
        picture: (H, 2H, 3) uint8, north in its middle column.
        position: (3,) position of the camera in metres.
        height: Height of the camera above the floor in metres.
    """

    picture: np.ndarray
    position: np.ndarray
    height: float


class Camera:
    """A pinhole camera.

    Args:
        across: Horizontal field of view in radians.
    """

    def __init__(self, width: int, height: int, across: float) -> None:
        self.width, self.height, self.across = width, height, across
        self._focal = width / 2 / math.tan(across / 2)
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / self._focal
        y = (height / 2 - np.arange(height, dtype=np.float32) - 0.5) / self._focal
        # Right, ahead and up of each pixel's ray for a level camera that faces north.
        self._plain = np.stack(np.broadcast_arrays(x[None], np.float32(1.0), y[:, None]), axis=0)

    def look(self, place: Standpoint, pose: Pose) -> np.ndarray:
        """Return the view (height, width, 3) uint8 from the centre of a panorama."""
        return _sampled(place.picture, self._rays(pose))

    def glide(self, places: tuple[Standpoint, Standpoint], along: float, pose: Pose) -> np.ndarray:
        """Return the view during a move, at progress 0..1 from one panorama to the next.

        Depth is unknown: the scene is assumed to consist of a floor, a ceiling and a round wall
        somewhat behind the end of the move. One panorama fades into the other.
        """
        start, end = places
        way = end.position - start.position
        rays = self._rays(pose)
        radius = max(1.8 * float(np.linalg.norm(way[:2])), 3.0)
        share = (along - _FADE[0]) / (_FADE[1] - _FADE[0])
        share = float(np.clip(share, 0.0, 1.0)) ** 2 * (3 - 2 * float(np.clip(share, 0.0, 1.0)))
        seen = np.zeros((self.height, self.width, 3), np.float32)
        for place, offset, weight in (
            (start, along * way, 1 - share),
            (end, (along - 1) * way, share),
        ):
            if weight > 0:
                hits = _hits(rays, offset.astype(np.float32), place.height, radius)
                seen += weight * _sampled(place.picture, hits)
        return seen.astype(np.uint8)

    def project(self, headings, elevations, pose: Pose) -> np.ndarray:
        """Return the pixels (N, 2), x and y, of directions in radians; NaN behind the camera."""
        headings, elevations = np.asarray(headings) - pose.heading, np.asarray(elevations)
        right = np.sin(headings) * np.cos(elevations)
        ahead = np.cos(headings) * np.cos(elevations)
        up = np.sin(elevations)
        cosine, sine = math.cos(pose.pitch), math.sin(pose.pitch)
        ahead, up = cosine * ahead + sine * up, cosine * up - sine * ahead
        ahead = np.where(ahead > 0.05, ahead, np.nan)
        x = self.width / 2 + self._focal * right / ahead
        y = self.height / 2 - self._focal * up / ahead
        return np.stack([x, y], axis=-1)

    def _rays(self, pose: Pose) -> np.ndarray:
        """Return the rays of the pixels (3, height, width): east, north, up."""
        right, ahead, up = self._plain
        cosine, sine = np.float32(math.cos(pose.pitch)), np.float32(math.sin(pose.pitch))
        level, up = cosine * ahead - sine * up, cosine * up + sine * ahead
        cosine, sine = np.float32(math.cos(pose.heading)), np.float32(math.sin(pose.heading))
        return np.stack([cosine * right + sine * level, cosine * level - sine * right, up])


def _hits(rays: np.ndarray, offset: np.ndarray, height: float, radius: float) -> np.ndarray:
    """Return where rays from an offset position meet the room, relative to the panorama."""
    east, north, up = rays
    floor = min(-height - offset[2], -_NEAREST)
    ceiling = max(_CEILING - offset[2], _NEAREST)
    with np.errstate(divide="ignore"):
        far = np.where(up < 0, floor / up, ceiling / up)
    # The wall: |offset + far * ray| = radius, across.
    squared = east**2 + north**2
    half = offset[0] * east + offset[1] * north
    inside = half**2 - squared * (offset[0] ** 2 + offset[1] ** 2 - radius**2)
    wall = (np.sqrt(np.maximum(inside, 0)) - half) / np.maximum(squared, 1e-9)
    return offset[:, None, None] + np.minimum(far, wall) * rays


def _sampled(picture: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Interpolate the colours (height, width, 3) of a panorama in directions (3, height, width)."""
    rows, columns = picture.shape[:2]
    east, north, up = rays
    x = (np.arctan2(east, north) / np.float32(2 * np.pi) + 0.5) * columns - np.float32(0.5)
    level = np.hypot(east, north)
    y = (0.5 - np.arctan2(up, level) / np.float32(np.pi)) * rows - np.float32(0.5)
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    right_share, low_share = (x - left)[..., None], (y - top)[..., None]
    low = np.clip(top + 1, 0, rows - 1) * columns
    top = np.clip(top, 0, rows - 1) * columns
    left, right = left % columns, (left + 1) % columns
    flat = picture.reshape(-1, 3)
    above = _interpolated(flat, top + left, top + right, right_share)
    below = _interpolated(flat, low + left, low + right, right_share)
    return (above + (below - above) * low_share + np.float32(0.5)).astype(np.uint8)


def _interpolated(
    pixels: np.ndarray, start: np.ndarray, end: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """Interpolate between the pixels at two arrays of indices; share 0 is the start, 1 the end."""
    first = pixels.take(start, axis=0).astype(np.float32)
    return first + (pixels.take(end, axis=0) - first) * share


def bare_panorama(position: np.ndarray, height: float, rows: int = 1024) -> np.ndarray:
    """Draw a sky above a floor with grid lines one metre apart, for worlds without pictures.

    Args:
        position: (3,) position of the camera in metres; the grid is the same for all viewpoints.
        height: Height of the camera above the floor in metres.
        rows: H of the picture (H, 2H, 3).
    """
    headings = (np.arange(2 * rows) + 0.5) / rows * np.pi - np.pi
    elevations = np.pi / 2 - (np.arange(rows) + 0.5) / rows * np.pi
    picture = np.empty((rows, 2 * rows, 3), np.float32)
    sky = np.clip(elevations / (np.pi / 2), 0, 1)[:, None, None]
    picture[:] = (1 - sky) * np.array([226, 233, 240]) + sky * np.array([164, 184, 206])
    below = elevations < -0.01
    far = height / np.tan(-elevations[below])[:, None]
    east, north = position[0] + far * np.sin(headings), position[1] + far * np.cos(headings)
    # A line is 4 cm wide, or two pixels where those are wider.
    pixel = far * np.pi / rows
    nearest = np.minimum(abs(east - np.rint(east)), abs(north - np.rint(north)))
    line = np.clip((0.02 + 1.5 * pixel - nearest) / pixel, 0, 1) * np.clip(1 - far / 14, 0, 1)
    floor = np.array([196, 192, 186]) + np.clip(far / 20, 0, 1)[..., None] * 24
    picture[below] = floor + line[..., None] * (np.array([134, 140, 150]) - floor)
    return picture.astype(np.uint8)
