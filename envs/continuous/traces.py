"""PoseTrace: the poses of an agent during an episode."""

from typing import NamedTuple

import numpy as np


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
