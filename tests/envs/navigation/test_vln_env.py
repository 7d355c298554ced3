"""Environments of one agent: making them, their infos, and stable-baselines3."""

import dataclasses
import inspect
import re
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import clipnav.envs
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import VlnEnv, make_vln_env, make_vln_vector_env
from clipnav.storage.errors import UserError
from clipnav.storage.features.opening import open_store

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


@pytest.mark.parametrize("reward", ["distance", "ndtw"])
def test_one_agent_walks_and_observes_as_an_agent_of_a_batch(tiny_arguments, reward):
    arguments = {**tiny_arguments, "reward": reward, "max_episode_steps": 9}
    batch = make_vln_vector_env(2, autoreset_mode="Disabled", **arguments)
    single, rng = make_vln_env(**arguments), np.random.default_rng(0)
    for seed in range(40):
        expected, (observation, info), rest = batch.reset(seed=seed), single.reset(seed=seed), []
        for _ in range(10):
            assert {*observation} == {*expected[0]}
            for name, values in observation.items():
                np.testing.assert_array_equal(values, expected[0][name][0], strict=True)
            for name in info.keys() - {"metrics"}:
                np.testing.assert_array_equal(info[name], expected[-1][name][0])
            assert rest == [values[0] for values in expected[1:-1]]
            assert info["metrics"] == {name: v[0] for name, v in batch.metrics().items()}
            assert single.core.trajectories()[0] == batch.trajectories()[0]
            if rest and (rest[1] or rest[2]):
                break
            # Stops are rare, and some moves impossible.
            action = int(max(0, rng.integers(-1, 9) % batch.num_actions - rng.integers(2)))
            expected = batch.step(np.array([action, 0]))
            observation, *rest, info = single.step(action)


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


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"path": ("a0", "a10")}, "no path connects the viewpoints of its path in scan 'attic'"),
        ({"path": ()}, "the path is empty"),
        ({"heading": float("nan")}, "the heading is nan"),
    ],
)
def test_built_episodes_that_cannot_be_walked_are_refused(make_env, changes, problem):
    env = make_env(1, observe="indices")
    own = next(episode for episode in env.episodes if episode.scan == "attic")
    episodes = [own, dataclasses.replace(own, instr_id="mine", **changes)]
    with pytest.raises(UserError, match=f"episode 'mine': {problem}"):
        VlnVectorEnv(dataclasses.replace(env.split, episodes=episodes), 1, env.settings)


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_dataset_that_is_not_that_of_the_id_is_refused(make, tiny_arguments):
    assert make("RxR-CLIP-v0", dataset="rxr", **tiny_arguments).unwrapped is not None
    for env_id, task in (("R2R-CLIP-v0", "RxR-CLIP-v0"), ("R2R-CE-CLIP-v0", "RxR-CE-CLIP-v0")):
        with pytest.raises(
            UserError, match=rf"dataset 'rxr' .* make '{task}' instead of '{env_id}'"
        ):
            make(env_id, dataset="rxr")


@pytest.mark.parametrize("settings", [EnvSettings, ContinuousSettings])
def test_settings_refuse_values_of_other_types(settings):
    for value in ("no", None):
        with pytest.raises(UserError, match=f"shuffle is {value!r}, but must be True or False"):
            settings(shuffle=value)
    sensors = "rgbd" if settings is EnvSettings else ("depth",)
    for value in ("5", None, True):
        with pytest.raises(UserError, match=f"max_depth is {value!r}, but must be a number"):
            settings(observe=sensors, max_depth=value)
    assert settings(observe=sensors, max_depth=np.float32(5)).max_depth == 5
    with pytest.raises(UserError, match="angle_feature_size is '8', but must be a whole number"):
        EnvSettings(angle_feature_size="8")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="max_episode_steps is True, but must be a whole number"):
        settings(max_episode_steps=True)
    with pytest.raises(UserError, match="observe must be a tuple of sensors"):
        ContinuousSettings(observe=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["store", "mapping", "array"])
def test_features_may_be_open_or_in_memory(tiny_arguments, kind):
    store = open_store(tiny_arguments["features"])
    keys = load_split(**tiny_arguments).nav_world.keys
    rows = [store.keys.index(key) for key in keys]
    features = {
        "store": store,
        "mapping": dict(zip(store.keys, store.views, strict=True)),
        "array": np.array(store.views[rows]),
    }[kind]
    for make in (gym.make, gym.make_vec):
        expected = make("R2R-CLIP-v0", **tiny_arguments)
        made = make("R2R-CLIP-v0", **{**tiny_arguments, "features": features})
        assert data_equivalence(made.reset(seed=3), expected.reset(seed=3))


def test_features_in_memory_must_cover_the_world(tiny_arguments):
    with pytest.raises(ValueError, match=r"9 of 10 viewpoints are missing, such as 'attic_a1'"):
        gym.make("R2R-CLIP-v0", **{**tiny_arguments, "features": {"attic_a0": np.zeros((36, 2))}})
    with pytest.raises(ValueError, match=r"\(17, 36, 2\), but must be \(10, 36, D\)"):
        gym.make("R2R-CLIP-v0", **{**tiny_arguments, "features": np.zeros((17, 36, 2))})


def test_a_package_in_the_id_registers_the_environments(tiny_arguments):
    code = (
        "import gymnasium\n"
        f"print(gymnasium.make('clipnav:R2R-CLIP-v0', **{tiny_arguments}).spec.id)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "R2R-CLIP-v0\n"
    assert out.stderr == ""


def test_ids_can_be_registered_again():
    before = dict(gym.registry)
    clipnav.envs.register_ids()
    assert gym.registry == before
    del gym.registry["R2R-CLIP-v0"]
    clipnav.envs.register_ids()
    assert gym.registry == before


HEADINGS = [
    *("Description", "Action Space", "Observation Space", "Rewards", "Starting State"),
    *("Episode End", "Info", "Arguments", "Registered Configurations", "Version History"),
]


@pytest.mark.parametrize("env", [VlnEnv, VlnVectorEnv])
def test_docstrings_have_the_headings_of_gymnasium_and_list_all_arguments(env):
    text = inspect.cleandoc(env.__doc__)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    arguments = re.search(r"^## Arguments$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    listed = dict(re.findall(r"^\* `(\w+)`(?: \((.*?)\))?:", arguments[1], re.MULTILINE))
    defaults = {
        **{name: p.default for name, p in inspect.signature(load_split).parameters.items()},
        **{field.name: field.default for field in dataclasses.fields(EnvSettings)},
    }
    if env is VlnVectorEnv:
        defaults |= {"num_envs": 1, "autoreset_mode": "NextStep"}
    assert set(listed) == set(defaults)
    assert listed.pop("dataset") == "", "the id sets it"
    for name, value in listed.items():
        default = defaults[name]
        assert value == (f'"{default}"' if isinstance(default, str) else str(default))


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_maskable_ppo_trains_and_takes_only_valid_actions(tiny_arguments):
    from sb3_contrib import MaskablePPO
    from sb3_contrib.common.maskable.utils import get_action_masks

    env = gym.make("R2R-CLIP-v0", **tiny_arguments, angle_feature_size=4)
    model = MaskablePPO("MultiInputPolicy", env, n_steps=32, batch_size=16, n_epochs=1, seed=0)
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(64)
    after = list(model.policy.parameters())
    assert any((old != new).any() for old, new in zip(before, after, strict=True))
    assert model.num_timesteps == 64

    observation, info = env.reset(seed=1)
    for _ in range(30):
        masks = get_action_masks(env)
        np.testing.assert_array_equal(masks, info["action_mask"])
        action, _ = model.predict(observation, action_masks=masks)
        assert masks[action]
        observation, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            observation, info = env.reset()
