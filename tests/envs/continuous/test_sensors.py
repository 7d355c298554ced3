"""Sensors of the pose; tests/envs/continuous/environments tests the cameras."""

from dataclasses import replace

import numpy as np
import pytest

from clipnav.envs.continuous.sensors import depth_reading
from clipnav.envs.continuous.settings import FORWARD, LEFT, R2R_CE, RIGHT


def rotated(vector, rotation):
    """Return a vector (3,) rotated by a quaternion [x, y, z, w]."""
    axis, w = rotation[:3], rotation[3]
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)


def test_pose_sensors_equal_those_of_habitat(make_box_env):
    env = make_box_env(4, observe=("globalgps", "heading"))
    observation, info = env.reset(seed=1)
    for action in [LEFT] * 3 + [FORWARD] * 3 + [RIGHT] * 15 + [FORWARD]:
        assert env.observation_space.contains(observation)
        gps = info["habitat_position"][:, [0, 2]]
        np.testing.assert_allclose(observation["globalgps"], gps, rtol=1e-6)
        for heading, rotation in zip(observation["heading"], info["rotation"], strict=True):
            # habitat-lab's HeadingSensor: -z under the inverse rotation, as an angle on the plan.
            ahead = rotated(np.array([0.0, 0.0, -1.0]), rotation * [-1, -1, -1, 1])
            expected = np.arctan2(ahead[0], -ahead[2])
            assert abs(np.exp(1j * heading[0]) - np.exp(1j * expected)) < 1e-6
        observation, *_, info = env.step(np.full(4, action))
    assert env.simulator.draws == []


@pytest.mark.parametrize("ends", [(0.0, 10.0), (0.5, 5.0), (0.1, 2.2), (0.05, 1.6)])
def test_scaled_depth_ends_at_one(ends):
    settings = replace(R2R_CE, min_depth=ends[0], max_depth=ends[1])
    depth = depth_reading(np.array([0.0, *ends, 100.0]), settings)
    assert depth.dtype == np.float32
    assert depth.tolist() == [0, 0, 1, 1]
