"""Plans of actions: walks to waypoints."""

import numpy as np
import pytest

from envs.continuous.floor import ContinuousFloor
from envs.continuous.planners import waypoint_actions
from envs.continuous.settings import FORWARD, LEFT, R2R_CE, RIGHT, STOP, ContinuousSettings


def carry_out(floor, settings, position, heading, actions):
    """Return position (3,) and heading after actions."""
    turn = np.radians(settings.turn_angle)
    for action in actions:
        heading += {LEFT: -turn, RIGHT: turn}.get(action, 0.0)
        if action == FORWARD:
            steps = floor.step(position[None], np.array([heading]), settings.step_size, True)
            position = steps[0][0]
    return position, heading


@pytest.mark.parametrize("distance", [0.25, 1.0, 1.6, 3.0])
@pytest.mark.parametrize("degrees", [0, 7, 45, 130, -100, 180])
def test_a_walk_to_a_waypoint_ends_there(distance, degrees):
    floor = ContinuousFloor.of_boxes([(0, 0, 10, 10)])
    start, heading, angle = np.array([5.0, 5.0, 0.0]), 0.3, np.radians(degrees)
    actions = waypoint_actions(distance, angle, R2R_CE)
    end, facing = carry_out(floor, R2R_CE, start, heading, actions)
    direction = np.array([np.sin(heading + angle), np.cos(heading + angle), 0.0])
    assert np.linalg.norm(end - start - distance * direction) < 0.1305
    off = (facing - heading - angle + np.pi) % (2 * np.pi) - np.pi
    assert abs(off) <= np.radians(7.5) + 1e-9
    assert STOP not in actions


def test_half_a_circle_is_turned_to_the_left():
    assert waypoint_actions(0.25, np.pi, R2R_CE) == [LEFT] * 12 + [FORWARD]
    assert waypoint_actions(0.25, np.pi / 2, R2R_CE) == [RIGHT] * 6 + [FORWARD]
    assert waypoint_actions(0.25, -np.pi / 2, R2R_CE) == [LEFT] * 6 + [FORWARD]


def test_long_steps_stop_where_no_step_comes_nearer():
    settings = ContinuousSettings(step_size=1.0, turn_angle=90.0)
    assert waypoint_actions(0.4, 0.0, settings) == []
