"""Continuous environments of one agent, also in the hands of stable-baselines3."""

import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import measure_walk
from clipnav.envs.continuous.settings import task_settings

IDS = ["R2R-CE-CLIP-v0", "RxR-CE-CLIP-v0"]
# The first episodes are all in one house, which is loaded once.
ONE_HOUSE = {"split": "val_unseen", "shuffle": False}
BLIND = {**ONE_HOUSE, "observe": ()}


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
    _, info = env.reset(seed=0, options={"episode_id": "26001_2"})
    assert (info["instr_id"], info["scan"], info["steps"]) == ("26001_2", "house_26", 0)
    assert info["episode_id"] == "6"
    again = env.reset(options={"episode_id": info["episode_id"]})[1]
    assert again["instr_id"] == "26001_2"
    arrays = {name for name, value in dict(info).items() if isinstance(value, np.ndarray)}
    assert arrays == {"position", "habitat_position", "rotation"}
    assert type(info["collided"]) is bool
    assert type(info["teacher_action"]) is int
    assert env.unwrapped.episode.instruction == info["instruction"]


pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:It seems that your observation:UserWarning"
)
PICTURES = {"rgb_size": (36, 36), "depth_size": (36, 36)}  # the smallest that its CNN accepts


def make(**arguments):
    return gym.make("R2R-CE-CLIP-v0", split="val_unseen", shuffle=False, **PICTURES, **arguments)


def test_ppo_trains_on_colour_depth_and_words():
    from stable_baselines3 import PPO

    env = make(max_episode_steps=12)
    model = PPO("MultiInputPolicy", env, n_steps=16, batch_size=16, n_epochs=1, seed=0)
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(32)
    after = list(model.policy.parameters())
    assert any((old != new).any() for old, new in zip(before, after, strict=True))
    observation, _ = env.reset(seed=1)
    action, _ = model.predict(observation)
    assert np.asarray(action).item() in range(4)


@pytest.mark.parametrize("vectorised", [False, True])
def test_a_simulator_of_the_other_task_is_refused(vectorised):
    make = gym.make_vec if vectorised else gym.make
    simulator = HouseSimulator(task_settings("r2r"))
    with pytest.raises(ValueError, match=r"agent_radius is 0\.1 in the simulator and 0\.18 in"):
        make("RxR-CE-CLIP-v0", simulator=simulator, **BLIND)
    make("R2R-CE-CLIP-v0", simulator=simulator, **BLIND).close()
