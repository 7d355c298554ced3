import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.navigation.making import make_vln_env

IDS = ["R2R-CLIP-v0", "RxR-CLIP-v0"]


def check(env_id, **arguments):
    env = gym.make(env_id, **arguments).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=env.render_mode is None)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("env_id", IDS)
def test_real_graphs_pass_the_checker_of_gymnasium(shared, env_id):
    if env_id == "RxR-CLIP-v0":
        with pytest.raises(FileNotFoundError, match=r"rxr_val_unseen_guide\.jsonl"):
            gym.make(env_id, **real_arguments(shared))
    else:
        check(env_id, **real_arguments(shared))


def real_arguments(shared):
    return {
        "world": "matterport",
        "data_dir": str(shared / "data"),
        "features": "none",
        "split": "val_unseen",
    }


def test_teacher_reaches_the_goal(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", **tiny_arguments)
    _, info = env.reset(seed=0, options={"episode_id": "102_1"})
    assert info["instr_id"] == "102_1"
    assert info["instruction"] == "Walk past the red sofa, then stop near the door."
    assert (info["scan"], info["viewpoint"]) == ("attic", "a8")
    walked, rewards, terminated = ["a8"], [], False
    while not terminated:
        _, reward, terminated, truncated, info = env.step(info["teacher_action"])
        rewards.append(reward)
        walked.append(info["viewpoint"])
        assert not truncated
    assert walked[-1] == "a3"
    assert info["metrics"]["success"] == 1.0
    assert rewards == [1.0] * (len(walked) - 2) + [2.0]
    assert env.unwrapped.episode.instr_id == "102_1"
    arrays = {"action_mask", "candidates"}
    assert arrays == {name for name, value in info.items() if isinstance(value, np.ndarray)}
    plain = [value for name, value in info.items() if name not in arrays]
    assert all(type(value) in (str, int, float, dict) for value in plain)


def test_without_make_the_environment_truncates_itself(tiny_arguments):
    env = make_vln_env(**tiny_arguments, max_episode_steps=2)
    observation, _ = env.reset(seed=0)
    action = int(np.flatnonzero(observation["action_mask"])[1])
    observation, _, _, truncated, _ = env.step(action)
    assert not truncated
    _, _, _, truncated, info = env.step(int(np.flatnonzero(observation["action_mask"])[1]))
    assert truncated
    with pytest.raises(gym.error.ResetNeeded, match="the episode has ended"):
        env.step(0)
    _, after = env.reset(seed=0)
    assert after["viewpoint"] != info["viewpoint"]
    env.step(0)
    with pytest.raises(gym.error.ResetNeeded, match="the episode has ended"):
        env.step(0)


def test_secret_goals_give_no_metrics(tiny_arguments):
    env = make_vln_env(**tiny_arguments, split="test")
    _, info = env.reset(seed=0)
    assert "metrics" not in info
    assert np.isnan(info["distance_to_goal"])


def test_the_info_of_a_step_describes_that_step_also_when_it_is_read_later(tiny_arguments):
    read_at_once, read_later = [], []
    for infos, read in ((read_at_once, dict), (read_later, lambda info: info)):
        env = make_vln_env(**tiny_arguments)
        _, info = env.reset(seed=0)
        infos.append(read(info))
        while not info["metrics"]["success"]:
            info = env.step(info["teacher_action"])[4]
            infos.append(read(info))
        env.reset()
    assert data_equivalence([dict(info) for info in read_later], read_at_once)
    assert len({info["metrics"]["nav_error"] for info in read_later}) == len(read_later) > 2


def test_wrappers_of_gymnasium_work(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", **tiny_arguments)
    env = gym.wrappers.FlattenObservation(gym.wrappers.RecordEpisodeStatistics(env))
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    terminated = False
    while not terminated:
        *_, terminated, _, info = env.step(info["teacher_action"])
    assert info["episode"]["r"] == info["episode"]["l"] + 1
