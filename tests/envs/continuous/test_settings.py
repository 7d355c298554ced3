import dataclasses

import pytest

from clipnav.envs.continuous.settings import (
    ACTION_NAMES,
    R2R_CE,
    RXR_CE,
    ContinuousSettings,
    task_settings,
)

# VLN-CE 729d141 habitat_extensions/config, and defaults of habitat-lab 0.1.7.
PUBLISHED = {
    "r2r": {
        **{"turn_angle": 15, "step_size": 0.25, "tilt_actions": False, "hfov": 90},
        **{"rgb_size": (224, 224), "depth_size": (256, 256), "camera_height": 1.25},
        **{"min_depth": 0, "max_depth": 10, "normalize_depth": True},
        **{"agent_radius": 0.1, "agent_height": 1.5, "sliding": True},
        **{"success_distance": 3.0, "max_episode_steps": 500},
    },
    "rxr": {
        **{"turn_angle": 30, "step_size": 0.25, "tilt_actions": True, "tilt_angle": 30},
        **{"rgb_size": (480, 640), "depth_size": (480, 640), "hfov": 79, "camera_height": 0.88},
        **{"min_depth": 0.5, "max_depth": 5, "normalize_depth": True},
        **{"agent_radius": 0.18, "agent_height": 0.88, "sliding": False},
        **{"success_distance": 3.0, "max_episode_steps": 500},
    },
}


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_presets_have_the_published_values(dataset):
    preset = dataclasses.asdict(task_settings(dataset))
    assert {name: preset[name] for name in PUBLISHED[dataset]} == PUBLISHED[dataset]


def test_actions_have_the_indices_of_vlnce():
    assert ACTION_NAMES[:4] == ("STOP", "MOVE_FORWARD", "TURN_LEFT", "TURN_RIGHT")
    assert (R2R_CE.num_actions, RXR_CE.num_actions) == (4, 6)
    assert (R2R_CE.turns_per_circle, RXR_CE.turns_per_circle) == (24, 12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turn_angle": 50}, "divisor of 360"),
        ({"turn_angle": 0}, "divisor of 360"),
        ({"tilt_angle": 0}, "between 0 and 360"),
        ({"hfov": 180}, "between 0 and 180"),
        ({"rgb_size": (224,)}, r"rgb_size \(224,\) is not \(height, width\)"),
        ({"depth_size": 256}, r"depth_size 256 is not \(height, width\)"),
        ({"rgb_size": (224, 100_000)}, "rgb_size is 100000, but must be at most 4096"),
        ({"tilt_angle": 15}, "tilt_angle has no effect without tilt_actions=True"),
        ({"rgb_size": (0, 224)}, "rgb_size is 0"),
        ({"min_depth": 5, "max_depth": 5}, "min_depth < max_depth"),
        ({"step_size": 0}, "step_size 0"),
        ({"agent_radius": float("inf")}, "agent_radius inf"),
        ({"observe": ("sound",)}, "observe 'sound' is not one of rgb, depth"),
        ({"observe": ("rgb", "rgb")}, "twice"),
        ({"teacher": "shortest"}, "path, goal, none"),
        ({"follower": "shortest"}, "greedy, compat"),
        ({"follower": "compat", "teacher": "none"}, "'compat' has no effect with teacher='none'"),
        ({"reward": "spl"}, "progress, distance, ndtw"),
        ({"reward": "ndtw", "slack_reward": 0.0}, "slack_reward has no effect with reward='ndtw'"),
        ({"reward": "distance", "success_reward": 5.0}, "success_reward has no effect"),
        ({"slack_reward": float("nan")}, "slack_reward nan"),
        ({"dtw": "slow"}, "exact, fastdtw"),
        ({"definition": "r2r"}, "vlnce, etpnav"),
        ({"max_episode_steps": 0}, "max_episode_steps is 0"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ContinuousSettings(**changes)


def test_a_tilt_without_its_actions_is_refused_even_if_it_is_the_default():
    with pytest.raises(ValueError, match="tilt_angle has no effect without tilt_actions=True"):
        task_settings("r2r", tilt_angle=30.0)
    assert task_settings("r2r", tilt_angle=30.0, tilt_actions=True).num_actions == 6


def test_a_dataset_without_a_continuous_task_is_refused():
    with pytest.raises(ValueError, match=r"\(r2r or rxr\)"):
        task_settings("r4r")  # type: ignore[arg-type]


def test_sensors_as_one_string_are_refused():
    with pytest.raises(ValueError, match="tuple of sensors"):
        task_settings("r2r", observe="rgb")
