"""Plans of turns and steps to a waypoint in polar coordinates."""

from __future__ import annotations

import numpy as np

from envs.continuous.settings import FORWARD, LEFT, RIGHT, ContinuousSettings

WAYPOINT_RADIUS = 0.13  # metres from a waypoint at which a plan to it ends


def waypoint_actions(
    distance: float, relative_heading: float, settings: ContinuousSettings
) -> list[int]:
    """Return the turns and steps that lead an agent to a waypoint in an empty room.

    As VLN-CE's `DiscretePathPlanner`: each step has the heading, of those that turns can reach,
    that ends nearest to the waypoint, until the waypoint is at most 0.13 m away. Then the agent
    turns away from its start, as far as turns permit.

    Args:
        distance: Metres from the agent to the waypoint.
        relative_heading: Direction of the waypoint in radians, clockwise from the agent's heading.
        settings: Length of a step, angle of a turn.
    """
    count = settings.turns_per_circle
    angles = 2 * np.pi * np.arange(count) / count
    steps = settings.step_size * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    left = distance * np.array([np.sin(relative_heading), np.cos(relative_heading)])
    actions: list[int] = []
    facing = 0
    while round(float(np.linalg.norm(left)), 3) > WAYPOINT_RADIUS:
        remaining = np.round(np.linalg.norm(left - steps, axis=1), 9)
        best = int(remaining.argmin())
        if remaining[best] >= np.linalg.norm(left):
            break  # steps are too long to come nearer
        actions += [*_turns(best - facing, count), FORWARD]
        facing, left = best, left - steps[best]
    away = round(relative_heading / (2 * np.pi / count))
    return actions + _turns(away - facing, count)


def _turns(difference: int, count: int) -> list[int]:
    """Return the turns to a heading `difference` steps clockwise; half a circle is to the left."""
    left = -difference % count
    return [LEFT] * left if left <= count // 2 else [RIGHT] * (count - left)
