"""The follower of habitat-lab 0.1.4, against its rules written with quaternions."""

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.experts import CompatFollower, reference_walks
from clipnav.envs.continuous.floor import ContinuousFloor
from clipnav.envs.continuous.settings import FORWARD, LEFT, R2R_CE, RIGHT, RXR_CE, STOP

AHEAD = np.array([0.0, 0.0, -1.0])  # habitat's axes


class OneCorner:
    """Floor with one way, whose second point is a given point (3,) or missing."""

    def __init__(self, corner, distance=9.0):
        self.corner, self.distance = corner, distance

    def distances(self, positions, goals):
        return np.full(len(positions), self.distance)

    def shortest_path(self, start, goal):
        return np.empty((0, 3)) if self.corner is None else np.array([start, self.corner, goal])


def action(floor, settings=R2R_CE, heading=0.0):
    follower = CompatFollower(settings, 0.5)
    pose = np.zeros((1, 3)), np.array([heading])
    return int(follower.next_actions(floor, *pose, np.ones((1, 3)))[0])  # type: ignore[arg-type]


def product(p, q):
    """Return the product of quaternions (scalar, vector)."""
    (a, u), (b, v) = p, q
    return a * b - u @ v, a * v + b * u + np.cross(u, v)


def angle_between(p, q):
    a, v = product(p, (q[0], -q[1]))
    return 2 * np.arctan2(np.linalg.norm(v), abs(a))


def original_action(way, yaw, turn):
    """Return the action of `ShortestPathFollowerCompat` for a way (3,) in habitat's axes."""
    way = way + 1e-6 * np.cross([0.0, 1.0, 0.0], AHEAD)
    half = np.sqrt(2 * (1 + AHEAD @ (way / np.linalg.norm(way)))) / 2
    vector = np.cross(AHEAD, way / np.linalg.norm(way)) / (2 * half) * [0, 1, 1]
    norm = np.sqrt(half**2 + vector @ vector)
    wanted = half / norm, vector / norm

    def off(angle):
        return angle_between(wanted, (np.cos(angle / 2), np.array([0, np.sin(angle / 2), 0])))

    if off(yaw) <= turn + 1e-6:
        return FORWARD
    return LEFT if off(yaw + turn) < off(yaw) else RIGHT


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE], ids=["15", "30"])
@pytest.mark.parametrize("is_level", [True, False])
def test_actions_equal_the_original_rule(settings, is_level):
    rng, seen = np.random.default_rng(4), set()
    for _ in range(500):
        way, yaw = rng.normal(size=3) * [1, not is_level, 1], rng.uniform(-4, 4)
        expected = original_action(way, yaw, np.radians(settings.turn_angle))
        assert action(OneCorner(from_habitat(way)), settings, -yaw) == expected
        seen.add(expected)
    assert seen == {FORWARD, LEFT, RIGHT}


def test_stops_within_the_radius_and_walks_on_without_a_way():
    ahead = np.array([0.0, 1.0, 0.0])
    assert [action(OneCorner(ahead, d)) for d in (0.499, 0.5, 0.501)] == [STOP, STOP, FORWARD]
    assert action(OneCorner(None, np.inf)) == FORWARD


def test_a_walk_that_gets_stuck_is_given_up():
    floor = ContinuousFloor.of_boxes([(0, 0, 1, 1), (2, 0, 3, 1)])
    nodes = np.array([[0.5, 0.5, 0.0], [2.5, 0.5, 0.0]])
    (walk,) = reference_walks(
        floor, [nodes], np.zeros(1), R2R_CE, follower="compat", most_actions=20
    )
    assert walk.actions.tolist() == [FORWARD] * 20
    assert not walk.is_complete


@pytest.mark.parametrize(("follower", "turns"), [("greedy", 6), ("compat", 5)])
def test_the_teacher_of_an_environment_is_the_chosen_follower(make_box_env, follower, turns):
    env = make_box_env(1, shuffle=False, follower=follower)  # the way is 90 degrees to the right
    _, info = env.reset(seed=0)
    actions = []
    for _ in range(turns + 1):
        actions.append(int(info["teacher_action"][0]))
        *_, info = env.step(np.array(actions[-1:]))
    assert actions == [RIGHT] * turns + [FORWARD]
