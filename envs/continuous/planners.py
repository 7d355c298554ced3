"""Plans of simple actions: along the shortest path, and to a waypoint in polar coordinates."""

from __future__ import annotations

import numpy as np

from envs.continuous.experts import GOAL_RADIUS
from envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP, ContinuousSettings
from envs.continuous.simulator import Floor

WAYPOINT_RADIUS = 0.13  # metres from a waypoint at which a plan to it ends
_SLACK = 1e-6  # radians


def path_follower_action(
    floor: Floor,
    settings: ContinuousSettings,
    position: np.ndarray,
    heading: float,
    goal: np.ndarray,
    goal_radius: float = GOAL_RADIUS,
) -> int:
    """Return the action of habitat-lab 0.1.4's `ShortestPathFollower`.

    It walks towards the first corner of the shortest path and turns only where the angle to it is
    larger than one turn. It can get stuck at corners; use `GreedyFollower` to reach goals.

    Args:
        floor: The floor.
        settings: Angle of a turn.
        position: (3,) position in metres.
        heading: Heading in radians.
        goal: (3,) goal.
        goal_radius: Metres from the goal at which it stops.
    """
    if floor.distances(position[None], goal)[0] <= goal_radius:
        return STOP
    path = floor.shortest_path(position, goal)
    if len(path) < 2:
        return STOP
    ahead = path[1, :2] - path[0, :2]
    error = _wrapped(float(np.arctan2(ahead[0], ahead[1])) - heading)
    turn = np.radians(settings.turn_angle)
    if abs(error) <= turn + _SLACK:
        return FORWARD
    return LEFT if abs(_wrapped(error + turn)) < abs(error) else RIGHT


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


def _wrapped(angle: float) -> float:
    """Return an angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
