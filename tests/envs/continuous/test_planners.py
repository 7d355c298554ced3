"""Plans of actions: walks to waypoints."""

import numpy as np
import pytest

from clipnav.envs.continuous.floor import ContinuousFloor
from clipnav.envs.continuous.planners import waypoint_actions
from clipnav.envs.continuous.settings import (
    FORWARD,
    LEFT,
    R2R_CE,
    RIGHT,
    RXR_CE,
    STOP,
    ContinuousSettings,
)


def carry_out(floor, settings, position, heading, actions):
    """Return position (3,) and heading after actions."""
    turn = np.radians(settings.turn_angle)
    for action in actions:
        heading += {LEFT: -turn, RIGHT: turn}.get(action, 0.0)
        if action == FORWARD:
            steps = floor.step(position[None], np.array([heading]), settings.step_size, True)
            position = steps[0][0]
    return position, heading


@pytest.mark.parametrize("distance", [0.25, 1.6])
@pytest.mark.parametrize("degrees", [0, 7, 130, -100])
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


def test_long_steps_stop_where_no_step_comes_nearer():
    settings = ContinuousSettings(step_size=1.0, turn_angle=90.0)
    assert waypoint_actions(0.4, 0.0, settings) == []


def original_plan(distance, theta, turn):
    """Return the plan by the rules of VLN-CE's `DiscretePathPlanner`, theta counter-clockwise.

    Headings are floats in [0, 2 pi), as there. Places are complex numbers.
    """
    count, goal = round(2 * np.pi / turn), distance * np.exp(1j * theta)
    here, facing, actions = 0j, 0.0, []
    while round(abs(here - goal), 3) > 0.13:
        headings = [facing]
        for _ in range(count - 1):
            headings.append((headings[-1] + turn) % (2 * np.pi))
        ends = here + 0.25 * np.exp(1j * np.array(headings))
        lefts = int(abs(ends - goal).argmin())
        rights = count - lefts
        actions += [RIGHT] * rights if lefts > count // 2 else [LEFT] * lefts
        actions.append(FORWARD)
        here, facing = ends[lefts], headings[lefts]
    ideal = np.angle(goal) % (2 * np.pi)
    while facing - ideal > turn / 2:
        facing -= turn
        actions.append(RIGHT)
    while ideal - facing > turn / 2:
        facing += turn
        actions.append(LEFT)
    return actions


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE], ids=["15", "30"])
def test_plans_equal_those_of_the_original(settings):
    rng, longest = np.random.default_rng(0), 0
    for _ in range(400):
        distance, theta = rng.uniform(0.25, 3), rng.uniform(0, 2 * np.pi)
        actions = waypoint_actions(distance, -theta, settings)
        assert actions == original_plan(distance, theta, np.radians(settings.turn_angle))
        longest = max(longest, actions[::-1].index(FORWARD))
    assert longest > settings.turns_per_circle // 2  # some plans turn the long way round


@pytest.mark.parametrize("noise", [-1e-15, 0.0, 1e-15])
def test_a_waypoint_straight_ahead_needs_no_turns(noise):
    assert waypoint_actions(1.0, noise, R2R_CE) == [FORWARD] * 4
