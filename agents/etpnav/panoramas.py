"""What ETPNav sees around a place: 12 pictures, their features, and waypoints.

Views are numbered clockwise from the heading of the agent, every 30 degrees.
"""

from typing import NamedTuple

import numpy as np

from clipnav.agents.etpnav.network import CANDIDATE_VIEW, OTHER_VIEW
from clipnav.agents.waypoints.predictor import VIEWS

_VIEW_ANGLE = 2 * np.pi / VIEWS
_ROUNDING = 1e-9  # of angles that lie between two views


class ViewTokens(NamedTuple):
    """Panorama tokens of a place: the waypoints, each with its view, then the unused views.

    Attributes:
        views: (V,) view of each token.
        directions: (V, 4) float32, sine and cosine of the angle clockwise from the heading, 0, 1.
        types: (V,) int64, 1 for waypoints and 0 for views.
    """

    views: np.ndarray
    directions: np.ndarray
    types: np.ndarray


def view_tokens(angles: np.ndarray) -> ViewTokens:
    """Return the tokens of a place with waypoints at angles (K,), clockwise from the heading.

    The unused views are in the order of ETPNav's cameras, which is counter-clockwise.
    """
    # As ten of 120 angles belong to a view: five before and four after its middle.
    facing = np.floor(angles / _VIEW_ANGLE + 0.5 + _ROUNDING).astype(int) % VIEWS
    cameras = -np.arange(VIEWS) % VIEWS
    unused = cameras[~np.isin(cameras, facing)]
    all_angles = np.concatenate([angles, unused * _VIEW_ANGLE])
    directions = np.zeros((len(all_angles), 4), np.float32)
    directions[:, 0], directions[:, 1] = np.sin(all_angles), np.cos(all_angles)
    directions[:, 3] = 1.0
    types = np.full(len(all_angles), OTHER_VIEW)
    types[: len(angles)] = CANDIDATE_VIEW
    return ViewTokens(np.concatenate([facing, unused]), directions, types)
