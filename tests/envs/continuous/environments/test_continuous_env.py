import pickle
import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from clipnav.envs.continuous.environments.making import make_continuous_env
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import measure_walk
from clipnav.envs.continuous.settings import RIGHT, task_settings
from tests.forking import IN_PROCESSES

IDS = ["R2R-CE-CLIP-v0", "RxR-CE-CLIP-v0"]
# The first episodes are all in one house, which is loaded once.
ONE_HOUSE = {"split": "val_unseen", "shuffle": False}
BLIND = {**ONE_HOUSE, "observe": ()}


@pytest.mark.parametrize("env_id", IDS)
def test_passes_the_checker_of_gymnasium(env_id):
    small = {"rgb_size": (24, 32), "depth_size": (24, 32)}
    env = gym.make(env_id, **ONE_HOUSE, **small, render_mode="rgb_array").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


@pytest.mark.parametrize("env_id", IDS)
def test_ids_have_the_sizes_of_the_task(env_id):
    env = gym.make(env_id, **ONE_HOUSE)
    preset = task_settings("r2r" if env_id.startswith("R2R") else "rxr")
    observation, _ = env.reset(seed=0)
    assert observation["rgb"].shape == (*preset.rgb_size, 3)
    assert observation["depth"].shape == (*preset.depth_size, 1)
    assert env.observation_space.contains(observation)
    assert env.action_space.n == preset.num_actions
    assert env.spec.max_episode_steps == preset.max_episode_steps == 500


@pytest.mark.parametrize("env_id", IDS)
def test_the_teacher_succeeds_in_a_built_in_house(env_id):
    env = gym.make(env_id, **BLIND)
    _, info = env.reset(seed=0)
    terminated = False
    while not terminated:
        *_, terminated, truncated, info = env.step(info["teacher_action"])
        assert not truncated
    metrics = info["metrics"]
    assert metrics["success"] == 1.0
    assert metrics["ndtw"] == pytest.approx(1.0)
    assert metrics["distance_to_goal"] < 0.5
    walk = env.unwrapped.core.record(0)
    assert metrics == measure_walk(walk[1], env.unwrapped.core.experts.locations(walk[0]))


def test_infos_are_plain_values_of_one_agent():
    env = gym.make("R2R-CE-CLIP-v0", **BLIND)
    _, info = env.reset(seed=0, options={"episode_id": "32001_2"})
    assert (info["instr_id"], info["scan"], info["steps"]) == ("32001_2", "house_32", 0)
    assert info["episode_id"] == "6"
    again = env.reset(options={"episode_id": info["episode_id"]})[1]
    assert again["instr_id"] == "32001_2"
    arrays = {name for name, value in dict(info).items() if isinstance(value, np.ndarray)}
    assert arrays == {"position", "habitat_position", "rotation"}
    assert type(info["collided"]) is bool
    assert type(info["teacher_action"]) is int
    assert env.unwrapped.episode.instruction == info["instruction"]


@pytest.mark.parametrize("limit", [3, 40])
def test_make_truncates_with_its_time_limit_and_gives_metrics(limit):
    env = gym.make("R2R-CE-CLIP-v0", max_episode_steps=limit, **BLIND)
    env.reset(seed=0)
    for step in range(1, limit + 1):
        *_, terminated, truncated, info = env.step(RIGHT)
        assert (terminated, truncated) == (False, step == limit)
    assert info["metrics"]["steps_taken"] == limit
    assert info["metrics"]["success"] == 0.0


@pytest.mark.parametrize("env_id", IDS)
def test_equal_actions_give_equal_walks(env_id):
    first, second = (gym.make(env_id, **BLIND) for _ in range(2))
    actions = first.action_space
    actions.seed(5)
    assert data_equivalence(first.reset(seed=5), second.reset(seed=5))
    for _ in range(20):
        action = actions.sample()
        mine, other = first.step(action), second.step(action)
        assert data_equivalence(mine, other)
        if mine[2]:
            assert data_equivalence(first.reset(), second.reset())


def test_pickles_with_its_state():
    small = {"rgb_size": (24, 32), "depth_size": (24, 32)}
    env = gym.make("R2R-CE-CLIP-v0", **ONE_HOUSE, **small)
    env.reset(seed=3)
    env.step(1)
    copy = pickle.loads(pickle.dumps(env))
    info = None
    for _ in range(4):
        action = info["teacher_action"] if info else 1
        mine, other = env.step(action), copy.step(action)
        assert data_equivalence(mine, other)
        info = mine[4]
    assert data_equivalence(env.reset(), copy.reset())


def test_specs_survive_json():
    env = gym.make("R2R-CE-CLIP-v0", **BLIND)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert data_equivalence(env.reset(seed=2), again.reset(seed=2))


def test_make_vec_equals_single_environments_in_other_processes():
    arguments = {**ONE_HOUSE, "rgb_size": (24, 32), "depth_size": (24, 32)}
    batch = gym.make_vec("R2R-CE-CLIP-v0", 2, **arguments)
    others = gym.make_vec("R2R-CE-CLIP-v0", 2, **IN_PROCESSES, **arguments)
    try:
        _, info = others.reset(seed=0)
        assert info["instr_id"].tolist() == ["32000_0", "32000_0"]
        batch.reset(seed=0, options={"episode_ids": ["32000_0"] * 2})
        for action in (2, 1, 1, 3, 1):
            actions = np.full(2, action)
            mine, theirs = batch.step(actions), others.step(actions)
            for name in ("instruction", "rgb", "depth"):
                np.testing.assert_array_equal(mine[0][name], theirs[0][name])
            np.testing.assert_allclose(mine[1], theirs[1])
            np.testing.assert_array_equal(mine[4]["position"], theirs[4]["position"])
            np.testing.assert_array_equal(mine[4]["teacher_action"], theirs[4]["teacher_action"])
    finally:
        others.close()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("langage", "did you mean 'language'"),
        ("turn_angel", "did you mean 'turn_angle'"),
        ("num_envs", r"gymnasium\.make_vec"),
        ("zzz", "there are dataset, split, world"),
    ],
)
def test_errors_name_unknown_arguments_and_the_remedy(name, remedy):
    with pytest.raises(TypeError, match=rf"ContinuousEnv.* argument '{name}'.*{remedy}"):
        make_continuous_env(**BLIND, **{name: 2})


def test_worlds_without_floors_are_refused(tiny_world):
    with pytest.raises(ValueError, match=re.escape("pass a simulator")):
        make_continuous_env(world="matterport", data_dir=tiny_world)


@pytest.mark.parametrize("vectorised", [False, True])
def test_a_simulator_of_the_other_task_is_refused(vectorised):
    make = gym.make_vec if vectorised else gym.make
    simulator = HouseSimulator(task_settings("r2r"))
    with pytest.raises(ValueError, match=r"agent_radius is 0\.1 in the simulator and 0\.18 in"):
        make("RxR-CE-CLIP-v0", simulator=simulator, **BLIND)
    make("R2R-CE-CLIP-v0", simulator=simulator, **BLIND).close()


def test_options_of_vector_environments_are_refused():
    env = make_continuous_env(**BLIND)
    for name in ("episode_ids", "reset_mask"):
        with pytest.raises(ValueError, match=rf"'episode_id'.*not \['{name}'\].*make_vec"):
            env.reset(options={name: ["32000_0"]})
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"not an integer in 0\.\.3"):
        env.step(1.5)
