"""The follower of habitat-lab 0.1.4, which made the first version of R2R_VLNCE."""

from __future__ import annotations

import numpy as np

from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP, ContinuousSettings
from clipnav.envs.continuous.simulator import Floor

_EPSILON = 1e-6  # radians, and metres


class CompatFollower:
    """Follower that turns towards the next corner of the shortest walk, and steps forward.

    The rules are those of VLN-CE's `ShortestPathFollowerCompat`
    (729d141, `habitat_extensions/shortest_path_follower.py`): a heading that is off by one turn is
    good enough, a slope bends the direction, and without a way the agent steps forward. It does not
    notice collisions, so it may step against a corner for ever.
    """

    def __init__(self, settings: ContinuousSettings, goal_radius: float):
        self.goal_radius = goal_radius
        self._turn = np.radians(settings.turn_angle)

    def reset(self, row: int) -> None:
        """Do nothing: an action depends on the pose only."""

    def next_actions(
        self,
        floor: Floor,
        positions: np.ndarray,
        headings: np.ndarray,
        goals: np.ndarray,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return the next action (N,) of agents on one floor; see `GreedyFollower`."""
        del rows
        actions = np.full(len(positions), STOP)
        walking = floor.distances(positions, goals) > self.goal_radius
        for k in np.flatnonzero(walking):
            corners = floor.shortest_path(positions[k], goals[k])
            actions[k] = self._towards(corners, headings[k]) if len(corners) > 1 else FORWARD
        return actions

    def _towards(self, corners: np.ndarray, heading: float) -> int:
        """Return the action that leads from the first corner to the second of (M, 3)."""
        x, y, z = corners[1] - corners[0]
        x -= _EPSILON  # so that the way back has a direction
        # Heading of the rotation from the axis of heading 0 to the way; its tilt is ignored.
        wanted = 2 * np.arctan2(x, np.linalg.norm([x, y, z]) + y)
        off = _wrapped(wanted - heading)
        if abs(off) <= self._turn + _EPSILON:
            return FORWARD
        return LEFT if abs(_wrapped(off + self._turn)) < abs(off) else RIGHT


def _wrapped(angle: float) -> float:
    """Return an angle in radians as one from -pi to pi."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
