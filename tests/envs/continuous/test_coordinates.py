"""Axes and rotations of habitat, against golden poses and back again."""

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import (
    from_habitat,
    heading_to_rotation,
    heading_to_yaw,
    rotation_to_heading,
    rounded_heading,
    to_habitat,
)


def same_rotation(first, second):
    """Return whether two quaternions are equal up to their sign."""
    return abs(abs(np.dot(first, second)) - 1) < 1e-6


def test_golden_poses(continuous_golden):
    for case in continuous_golden["poses"]:
        feet = np.array(case["viewpoint_xyz"]) - [0, 0, case["camera_height"]]
        np.testing.assert_allclose(to_habitat(feet), case["position"], atol=1e-6)
        heading = case["heading"]
        rotation = heading_to_rotation(heading)
        assert same_rotation(rotation, case["rotation_xyzw"])
        assert heading_to_yaw(heading) == pytest.approx(case["prediction_heading"], abs=1e-6)
        ahead = [np.sin(heading), np.cos(heading), 0.0]
        np.testing.assert_allclose(to_habitat(ahead), case["forward_xyz"], atol=1e-6)
        if case["rotation_xyzw_v1_3"] is not None:
            rounded = heading_to_rotation(rounded_heading(heading))
            assert same_rotation(rounded, case["rotation_xyzw_v1_3"])


def test_conversion_and_back():
    rng = np.random.default_rng(0)
    points, headings = rng.normal(size=(20, 3)), rng.uniform(0, 2 * np.pi, 20)
    np.testing.assert_allclose(from_habitat(to_habitat(points)), points)
    for sign in (1, -1):
        rotations = sign * heading_to_rotation(headings)
        np.testing.assert_allclose(rotation_to_heading(rotations), headings, atol=1e-9)


def test_a_tilt_does_not_change_the_heading():
    heading, tilt = 1.1, 0.4
    _, y, _, w = heading_to_rotation(heading)
    # Rotation about y, then about the agent's x.
    rotation = [w * np.sin(tilt / 2), y * np.cos(tilt / 2), -y * np.sin(tilt / 2), 0.0]
    rotation[3] = w * np.cos(tilt / 2)
    assert rotation_to_heading(np.array(rotation)) == pytest.approx(heading)
