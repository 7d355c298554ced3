"""Goals in space that instruction-following models answer: a pixel of a picture, or waypoints.

A pixel goal is the farthest later position of a walk that a camera sees. Waypoints are the next
positions of the walk in the frame of the robot: x ahead and y to the left in metres, theta in
radians counter-clockwise.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clipnav.envs.continuous.settings import Size
from clipnav.envs.panoramas.cameras import camera_turn

VISIBLE = 0.1  # metres between a position and the surface that its pixel shows
WAYPOINTS, SPACING = 8, 0.25  # number, and metres between two
_NEAREST = 1e-6  # metres before a camera


@dataclass(frozen=True)
class GoalCamera:
    """Pinhole camera in whose pictures goals are named.

    Attributes:
        size: Height and width in pixels.
        hfov: Horizontal field of view in degrees.
        height: Metres above the feet.
        pitch: Degrees below the horizon.
    """

    size: Size
    hfov: float
    height: float
    pitch: float

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.size[1] / 2 / float(np.tan(np.radians(self.hfov) / 2))

    def pose(self, feet: np.ndarray, heading: float) -> np.ndarray:
        """Return the (4, 4) pose, camera to world; its axes are x right, y down and z ahead."""
        right, ahead, up = camera_turn(heading, -np.radians(self.pitch)).T
        pose = np.eye(4)
        pose[:3, :3] = np.column_stack([right, -up, ahead])
        pose[:3, 3] = feet + np.array([0.0, 0.0, self.height])
        return pose

    def project(self, pose: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the pixels (N, 2) int [x, y] of points (N, 3); -1 outside the picture."""
        x, y, depth = ((points - pose[:3, 3]) @ pose[:3, :3]).T
        scale = self.focal / np.maximum(depth, _NEAREST)
        height, width = self.size
        pixels = np.floor(np.stack([width / 2 + scale * x, height / 2 + scale * y], axis=1))
        inside = (depth > _NEAREST) & ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
        return np.where(inside[:, None], pixels, -1).astype(int)

    def unproject(self, pose: np.ndarray, pixels: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Return the points (N, 3) that pixels (N, 2) [x, y] of a depth picture (H, W) show."""
        height, width = self.size
        x, y = (np.asarray(pixels) + 0.5 - (width / 2, height / 2)).T
        rays = np.stack([x, y, np.full(len(x), self.focal)], axis=1) / self.focal
        planar = depth[pixels[:, 1], pixels[:, 0], None]
        return planar * rays @ pose[:3, :3].T + pose[:3, 3]


class PixelGoal(NamedTuple):
    """Farthest position of a walk that a camera sees.

    Attributes:
        index: Number of the position.
        pixel: x and y of its pixel.
    """

    index: int
    pixel: tuple[int, int]


def pixel_goal(
    camera: GoalCamera, pose: np.ndarray, depth: np.ndarray, positions: np.ndarray
) -> PixelGoal | None:
    """Return the farthest position along a walk that a camera sees; None if it sees none.

    It is seen if its pixel shows a surface at most 0.1 m from it, so that the pixel leads back to
    it. Of equal positions, between which the agent turns, the first one counts.

    Args:
        camera: The camera.
        pose: (4, 4) pose of the camera.
        depth: (H, W) planar depth of its picture in metres.
        positions: (K, 3) points under the feet, in order.
    """
    pixels = camera.project(pose, positions)
    away = np.linalg.norm(camera.unproject(pose, pixels, depth) - positions, axis=1)
    seen = (pixels[:, 0] >= 0) & (away <= VISIBLE)
    if not seen.any():
        return None
    last = np.flatnonzero(seen)[-1]
    first = int(np.flatnonzero((positions == positions[last]).all(axis=1))[0])
    x, y = pixels[last].tolist()
    return PixelGoal(first, (x, y))


def next_waypoints(feet: np.ndarray, heading: float, positions: np.ndarray) -> np.ndarray:
    """Return the next 8 positions (8, 3) of a walk every 0.25 m, as x, y and theta.

    Theta is the direction of the walk towards the waypoint. Behind the end of the walk, the last
    waypoint is repeated; at its end, all are zero.

    Args:
        feet: (3,) position of the robot.
        heading: Its heading in radians clockwise from +y.
        positions: (K, 3) later positions of the walk, in order.
    """
    walk = (np.vstack([feet, positions]) - feet)[:, :2]
    length = np.concatenate([[0.0], np.linalg.norm(np.diff(walk, axis=0), axis=1).cumsum()])
    wanted = SPACING * np.arange(1, WAYPOINTS + 1)
    east, north = (np.interp(wanted, length, axis) for axis in walk.T)
    sin, cos = np.sin(heading), np.cos(heading)
    ahead, left = sin * east + cos * north, sin * north - cos * east
    steps = np.diff(np.stack([ahead, left]), axis=1, prepend=0.0)
    moving = np.linalg.norm(steps, axis=0) > _NEAREST
    theta = np.where(moving, np.arctan2(steps[1], steps[0]), 0.0)
    theta = theta[np.maximum.accumulate(np.where(moving, np.arange(WAYPOINTS), 0))]
    return np.stack([ahead, left, theta], axis=1)


def waypoint_positions(feet: np.ndarray, heading: float, waypoints: np.ndarray) -> np.ndarray:
    """Return the points (K, 3) of waypoints (K, 3) at the height of the robot's feet (3,)."""
    sin, cos = np.sin(heading), np.cos(heading)
    ahead, left = waypoints[:, 0], waypoints[:, 1]
    east, north = sin * ahead - cos * left, cos * ahead + sin * left
    return feet + np.stack([east, north, np.zeros(len(waypoints))], axis=1)
