import copy
import json
import pickle
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.making import make_vln_env

IDS = ["R2R-CLIP-v0", "RxR-CLIP-v0"]


def check(env_id, **arguments):
    env = gym.make(env_id, **arguments).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=env.render_mode is None)
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.parametrize("env_id", IDS)
def test_passes_the_checker_of_gymnasium(tiny_arguments, env_id):
    check(env_id, **tiny_arguments, render_mode="rgb_array")


def test_other_settings_pass_the_checker_of_gymnasium(tiny_arguments):
    ways = {"teacher": "reference", "reward": "ndtw", "observe": "indices"}
    check("R2R-CLIP-v0", **tiny_arguments, **ways)


@pytest.mark.parametrize("env_id", [*IDS, "R4R-CLIP-v0"])
def test_built_in_world_passes_the_checker_of_gymnasium(env_id):
    check(env_id, split="val_seen")


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


def test_action_masks_agree_with_observation_and_info(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", **tiny_arguments)
    observation, info = env.reset(seed=0)
    for _ in range(10):
        masks = env.get_wrapper_attr("action_masks")()
        assert masks.dtype == info["action_mask"].dtype == bool
        assert masks.shape == (env.action_space.n,)
        np.testing.assert_array_equal(masks, observation["action_mask"] == 1)
        np.testing.assert_array_equal(masks, info["action_mask"])
        action = int(np.flatnonzero(masks)[-1])
        target = info["candidates"][action]
        observation, _, _, _, info = env.step(action)
        assert info["viewpoint"] == target
        assert info["candidates"][0] == ""


def test_headings_and_elevations_are_vectors_of_one_number(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", **tiny_arguments)
    observation, _ = env.reset(seed=0)
    for name in ("heading", "elevation"):
        assert env.observation_space[name].shape == observation[name].shape == (1,)
    batch = gym.make_vec("R2R-CLIP-v0", 3, **tiny_arguments)
    assert batch.reset(seed=0)[0]["heading"].shape == (3, 1)
    shapes = {space.shape for space in env.observation_space.values()}
    assert () not in shapes


def test_unshuffled_episodes_follow_each_other(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", shuffle=False, **tiny_arguments)
    walked = [env.reset(seed=0)[1]["instr_id"], *(env.reset()[1]["instr_id"] for _ in range(3))]
    assert walked == [episode.instr_id for episode in env.unwrapped.core.episodes[:4]]
    assert env.reset(seed=1)[1]["instr_id"] == walked[0]


@pytest.mark.parametrize("limit", [3, 50])
def test_make_truncates_with_its_time_limit_only(tiny_arguments, limit):
    env = gym.make("R2R-CLIP-v0", max_episode_steps=limit, **tiny_arguments)
    observation, _ = env.reset(seed=0)
    path, graph = [env.unwrapped.core.paths()[0][0]], None
    for step in range(1, limit + 1):
        action = int(np.flatnonzero(observation["action_mask"])[1])
        observation, _, terminated, truncated, info = env.step(action)
        path.append(info["viewpoint"])
        assert (terminated, truncated) == (False, step == limit)
    graph = env.unwrapped.core.nav_world.graphs["attic"]
    expected = score_path(graph, path, env.unwrapped.episode.path)
    assert info["metrics"] == pytest.approx(expected)


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


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("langage", "did you mean 'language'"),
        ("num_envs", r"gymnasium\.make_vec"),
        ("autoreset_mode", r"gymnasium\.make_vec"),
        ("zzz", "there are dataset, split, world"),
    ],
)
def test_errors_name_unknown_arguments_and_the_remedy(tiny_arguments, name, remedy):
    with pytest.raises(TypeError, match=rf"VlnEnv.* argument '{name}'.*{remedy}"):
        make_vln_env(**tiny_arguments, **{name: 2})


def test_options_of_vector_environments_are_refused(tiny_arguments):
    env = make_vln_env(**tiny_arguments)
    for name in ("episode_ids", "reset_mask", "episode"):
        with pytest.raises(ValueError, match=rf"'episode_id'.*not \['{name}'\].*make_vec.*"):
            env.reset(options={name: ["102_1"]})
    with pytest.raises(ValueError, match=r"no episode '1_1'.*which start with '100_0'"):
        env.reset(options={"episode_id": "1_1"})


@pytest.mark.parametrize("action", [1.7, float("nan"), "1", None, np.array([0])])
def test_actions_that_are_not_integers_are_refused(tiny_arguments, action):
    env = make_vln_env(**tiny_arguments)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"not an integer in 0\.\.5"):
        env.step(action)


def test_secret_goals_give_no_metrics(tiny_arguments):
    env = make_vln_env(**tiny_arguments, split="test")
    _, info = env.reset(seed=0)
    assert "metrics" not in info
    assert np.isnan(info["distance_to_goal"])


@pytest.mark.parametrize("env_id", IDS)
def test_pickles_with_its_state(tiny_arguments, env_id):
    env = gym.make(env_id, **tiny_arguments)
    env.reset(seed=3)
    copy = pickle.loads(pickle.dumps(env))
    action, terminated = 1, False
    while not terminated:
        mine, other = env.step(action), copy.step(action)
        assert data_equivalence(mine, other)
        terminated, action = mine[2], mine[4]["teacher_action"]
    assert data_equivalence(env.reset(), copy.reset())


@pytest.mark.parametrize("env_id", IDS)
def test_is_deterministic(tiny_arguments, env_id):
    first, second = (gym.make(env_id, **tiny_arguments) for _ in range(2))
    actions = gym.make(env_id, **tiny_arguments).action_space
    actions.seed(5)
    assert data_equivalence(first.reset(seed=5), second.reset(seed=5))
    for _ in range(60):
        action = actions.sample()
        mine, other = first.step(action), second.step(action)
        assert data_equivalence(mine, other)
        if mine[2] or mine[3]:
            assert data_equivalence(first.reset(), second.reset())


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


def test_json_contains_all_entries_of_an_info_that_was_not_read(tiny_arguments):
    env = make_vln_env(**tiny_arguments)  # the checker of gymnasium.make reads infos
    for info in (env.reset(seed=0)[1], env.step(1)[-1]):
        written = json.loads(json.dumps(info, default=str))
        assert written["scan"] == info["scan"]
        assert set(written) == set(info)


def test_later_steps_do_not_change_an_observation(tiny_arguments):
    env = make_vln_env(**tiny_arguments)
    first, info = env.reset(seed=0)
    before = copy.deepcopy(first)
    second = env.step(info["teacher_action"])[0]
    assert data_equivalence(first, before)
    assert not data_equivalence(first, second)


@pytest.mark.parametrize("env_id", IDS)
def test_specs_survive_json(tiny_arguments, env_id):
    env = gym.make(env_id, **tiny_arguments)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert data_equivalence(env.reset(seed=2), again.reset(seed=2))


def test_wrappers_of_gymnasium_work(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", **tiny_arguments)
    env = gym.wrappers.FlattenObservation(gym.wrappers.RecordEpisodeStatistics(env))
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    terminated = False
    while not terminated:
        *_, terminated, _, info = env.step(info["teacher_action"])
    assert info["episode"]["r"] == info["episode"]["l"] + 1


def test_an_unknown_option_is_refused(tiny_arguments):
    env = make_vln_env(**tiny_arguments)
    with pytest.raises(ValueError, match="no episode 'x'"):
        env.reset(options={"episode_id": "x"})
    with pytest.raises(ValueError, match="not \\['scan'\\]"):
        env.reset(options={"scan": "attic"})


def test_importing_the_package_loads_nothing_heavy():
    heavy = "torch open_clip transformers trimesh embreex scipy networkx PIL".split()
    code = f"import sys, envs; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
