"""Conversion between the axes of the navigation graphs and those of habitat.

Navigation graphs have x and y on the plan and z up, and headings in radians clockwise from +y.
Habitat has y up and z = -(y of the graphs), and yaw in radians counter-clockwise from -z, so that
yaw = -heading. Rotations are quaternions [x, y, z, w]; a quaternion and its negative are the same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_HEADING_STEP = np.pi / 6  # radians, to which R2R_VLNCE v1-3 rounds the headings of R2R


def to_habitat(positions: ArrayLike) -> np.ndarray:
    """Return positions (..., 3) of navigation graphs in habitat's axes."""
    positions = np.asarray(positions, float)
    x, y, z = np.moveaxis(positions, -1, 0)
    return np.stack([x, z, -y], axis=-1)


def from_habitat(positions: ArrayLike) -> np.ndarray:
    """Return positions (..., 3) of habitat in the axes of the navigation graphs."""
    positions = np.asarray(positions, float)
    x, y, z = np.moveaxis(positions, -1, 0)
    return np.stack([x, -z, y], axis=-1)


def heading_to_rotation(headings: ArrayLike) -> np.ndarray:
    """Return the rotations (..., 4) [x, y, z, w] of headings (...) in radians."""
    half = -np.asarray(headings, float) / 2
    zero = np.zeros_like(half)
    return np.stack([zero, np.sin(half), zero, np.cos(half)], axis=-1)


def rotation_to_heading(rotations: ArrayLike) -> np.ndarray:
    """Return the headings (...) in [0, 2 pi) of rotations (..., 4) [x, y, z, w].

    The rotation must be one about the vertical axis, apart from a tilt about the axis to the right.
    """
    x, y, z, w = np.moveaxis(np.asarray(rotations, float), -1, 0)
    # Direction of the view, -z rotated, on the plan.
    right, ahead = -2 * (x * z + w * y), 1 - 2 * (x * x + y * y)
    return np.arctan2(right, ahead) % (2 * np.pi)


def heading_to_yaw(headings: ArrayLike) -> np.ndarray:
    """Return the yaw (...) in (-pi, pi] of headings (...): the "heading" of prediction files."""
    yaw = -np.asarray(headings, float)
    return -((-yaw + np.pi) % (2 * np.pi) - np.pi)


def rounded_heading(headings: ArrayLike) -> np.ndarray:
    """Return headings (...) rounded to 30 degrees, halves upwards, as R2R_VLNCE v1-3 does."""
    return _HEADING_STEP * np.floor(np.asarray(headings, float) / _HEADING_STEP + 0.5)


class PoseTrace(NamedTuple):
    """Poses of an agent after the reset and after each action.

    Attributes:
        positions: (T, 3) metres.
        headings: (T,) radians clockwise from +y.
        stopped: Whether the last action was stop.
        serial: Number of the start of the episode, larger for later starts.
    """

    positions: np.ndarray
    headings: np.ndarray
    stopped: bool
    serial: int
