"""Plans of turns and steps to a waypoint in polar coordinates."""

from __future__ import annotations

import math

import numpy as np

from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, ContinuousSettings

WAYPOINT_RADIUS = 0.13  # metres from a waypoint at which a plan to it ends


def waypoint_actions(
    distance: float, relative_heading: float, settings: ContinuousSettings
) -> list[int]:
    """Return the turns and steps that lead an agent to a waypoint in an empty room.

    As VLN-CE's `DiscretePathPlanner`: each step has the heading, of those that turns can reach,
    that ends nearest to the waypoint, until the waypoint is at most 0.13 m away. Then the agent
    turns away from its start, as far as turns permit. As there, the last turns do not cross the
    initial heading, so that they may be more than half a circle.

    Args:
        relative_heading: Direction of the waypoint in radians, clockwise from the agent's heading.
    """
    turn, count = np.radians(settings.turn_angle), settings.turns_per_circle
    goal = distance * np.array([np.sin(relative_heading), np.cos(relative_heading)])
    actions: list[int] = []
    facing = 0.0  # radians to the left, in [0, 2 pi), with the rounding errors of the original
    while round(float(np.linalg.norm(goal)), 3) > WAYPOINT_RADIUS:
        headings = [facing]
        for _ in range(count - 1):
            headings.append((headings[-1] + turn) % (2 * np.pi))
        steps = settings.step_size * np.stack([-np.sin(headings), np.cos(headings)], axis=1)
        remaining = np.round(np.linalg.norm(goal - steps, axis=1), 9)
        left = int(remaining.argmin())
        if remaining[left] >= np.linalg.norm(goal):
            break  # steps are too long to come nearer
        actions += [LEFT] * left if left <= count // 2 else [RIGHT] * (count - left)
        actions.append(FORWARD)
        facing, goal = headings[left], goal - steps[left]
    away = round(-relative_heading / turn, 9) % count - facing / turn
    return actions + [LEFT if away > 0 else RIGHT] * math.ceil(abs(away) - 0.5)
