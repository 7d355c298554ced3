"""Continuous episodes, and the axes and rotations of habitat."""

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
from clipnav.envs.continuous.episodes import load_continuous_split


@pytest.fixture(scope="module")
def val_unseen():
    return load_continuous_split("r2r", "val_unseen")


def test_ids_count_from_one_in_the_order_of_the_file(val_unseen):
    ids = [episode.episode_id for episode in val_unseen.episodes]
    assert ids == [str(number) for number in range(1, len(ids) + 1)]
    assert val_unseen.instr_ids[:4].tolist() == ["26000_0", "26000_1", "26000_2", "26001_0"]
    assert val_unseen.tokens.shape == (len(ids), 80)


def test_episodes_of_test_splits_have_no_goal(tiny_world):
    split = load_continuous_split("r2r", "test", "matterport", tiny_world)
    assert not any(episode.has_goal for episode in split.episodes)
    assert split.episodes[0].start[2] == pytest.approx(0.4, abs=0.5)


def test_a_task_without_a_continuous_version_is_refused():
    with pytest.raises(ValueError, match="r2r or rxr"):
        load_continuous_split("r4r")  # type: ignore[arg-type]


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
