"""Walks between decisions, and the places where they end."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clipnav.agents.etpnav.agent import walk_ends
from clipnav.agents.etpnav.control import Pose, walk_along, walk_to
from clipnav.envs.continuous.floor import ContinuousFloor
from clipnav.envs.continuous.settings import FORWARD, LEFT, R2R_CE, RIGHT, RXR_CE


def sides(number) -> Any:
    """Return random numbers that choose one side."""
    return SimpleNamespace(random=lambda: number)


def perform(walk, pose, settings, floor):
    """Carry out a walk on a floor; return its actions and poses."""
    actions, poses = [], [pose]
    try:
        action = next(walk)
        while True:
            position, heading, _ = poses[-1]
            turn = np.radians(settings.turn_angle) * ((action == RIGHT) - (action == LEFT))
            collided = False
            if action == FORWARD:
                moved, hit = floor.step(
                    position[None], np.array([heading]), settings.step_size, settings.sliding
                )
                position, collided = moved[0], bool(hit[0])
            actions.append(action)
            poses.append(Pose(position, heading + turn, collided))
            action = walk.send(poses[-1])
    except StopIteration:
        return actions, poses


def box(*size):
    return ContinuousFloor.of_boxes([(0.0, 0.0, *size)])


@pytest.mark.parametrize(
    ("place", "turns", "steps"),
    [
        ((5.0, 7.1, 0.0), [], 8),
        ((7.1, 5.0, 0.0), [RIGHT] * 6, 8),
        ((2.9, 5.0, 0.0), [LEFT] * 6, 8),
        ((5.0, 2.9, 0.0), [LEFT] * 12, 8),
        ((5.0, 5.2, 0.0), [], 0),
        ((5.0, 5.0, 0.0), [], 0),
        ((5.0, 5.75, 1.0), [], 5),  # the distance of a place includes its height
    ],
)
def test_an_agent_turns_and_steps_straight_to_a_place(place, turns, steps):
    pose = Pose(np.array([5.0, 5.0, 0.0]), 0.0, False)
    walk = walk_to(pose, np.array(place), R2R_CE, None)
    actions, _ = perform(walk, pose, R2R_CE, box(10.0, 10.0))
    assert actions == [*turns, *[FORWARD] * steps]


def test_without_a_try_out_the_agent_steps_on_against_the_wall():
    pose = Pose(np.array([5.0, 8.0, 0.0]), 0.0, False)
    walk = walk_along(pose, [np.array([5.0, 11.0, 0.0])], RXR_CE, None)
    actions, poses = perform(walk, pose, RXR_CE, box(10.0, 9.0))
    assert actions == [FORWARD] * 12
    assert poses[-1].collided


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE])
@pytest.mark.parametrize(("number", "sign"), [(0.0, 1), (0.9, -1)])
def test_an_agent_that_no_step_moves_tries_six_directions(settings, number, sign):
    # The six directions of ETPNav, in degrees from the first one.
    expected = [90, 60, 30, -30, -60, -90]
    pose = Pose(np.array([1.0, 1.0, 0.0]), 0.0, False)
    walk = walk_to(pose, np.array([1.0, 3.0, 0.0]), settings, sides(number))
    tried, heading = [], 0.0
    try:
        action = next(walk)
        while True:
            heading += settings.turn_angle * ((action == RIGHT) - (action == LEFT))
            if action == FORWARD:
                tried.append(sign * heading)
            action = walk.send(Pose(pose.position, np.radians(heading), action == FORWARD))
    except StopIteration:
        pass
    assert tried == [0, *expected]


def test_an_agent_passes_an_obstacle_and_takes_the_remaining_steps():
    # A pillar, 0.4 m wide, in the way to the north; the agent turns to the east.
    boxes = [(0.0, 0.0, 10.0, 5.0), (0.0, 5.0, 4.9, 5.4), (5.1, 5.0, 10.0, 5.4), (0, 5.4, 10, 9)]
    floor = ContinuousFloor.of_boxes(boxes)
    pose = Pose(np.array([4.95, 4.6, 0.0]), 0.0, False)
    walk = walk_to(pose, np.array([4.95, 6.6, 0.0]), RXR_CE, sides(0.0))
    actions, poses = perform(walk, pose, RXR_CE, floor)
    first = next(k for k, pose in enumerate(poses) if pose.collided)
    assert actions[first : first + 3] == [RIGHT] * 3
    assert actions[first + 3] == FORWARD
    assert actions[first + 4 : first + 7] == [LEFT] * 3
    # The shortened step is not among those that are done.
    done = sum(action == FORWARD for action in actions[: first - 1])
    assert sum(action == FORWARD for action in actions[first + 7 :]) <= 8 - done
    assert np.isclose(poses[-1].heading, 0.0)


def test_walks_end_at_walls():
    floor, start = box(10.0, 3.0), np.array([1.0, 1.0, 0.0])
    ends = walk_ends(floor, start, np.radians([90.0, 0.0]), np.array([2.1, 3.0]), RXR_CE)
    np.testing.assert_allclose(ends[0], [3.0, 1.0, 0.0], atol=1e-6)
    assert ends[1, 1] == pytest.approx(3.0, abs=0.05)  # a floor of boxes is that of the centre
