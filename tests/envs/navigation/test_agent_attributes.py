import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)


@pytest.fixture
def pair(tiny_arguments):
    """The same three agents as a batch and as environments in Gymnasium's own vector class."""
    batch = gym.make_vec("R2R-CLIP-v0", 3, render_mode="rgb_array", **tiny_arguments)
    apart = gym.make_vec("R2R-CLIP-v0", 3, "sync", render_mode="rgb_array", **tiny_arguments)
    batch.reset(seed=4)
    apart.reset(seed=4)
    return batch.unwrapped, apart


@pytest.mark.parametrize("name", ["action_masks", "render"])
def test_methods_return_one_result_per_agent(pair, name):
    batch, apart = (env.call(name) for env in pair)
    assert len(batch) == len(apart) == 3
    for mine, other in zip(batch, apart, strict=True):
        np.testing.assert_array_equal(mine, other)
        assert mine.dtype == other.dtype


@pytest.mark.parametrize(
    "name", ["episode", "action_space", "observation_space", "render_mode", "np_random"]
)
def test_attributes_are_those_of_single_environments(pair, name):
    batch, apart = (env.get_attr(name) for env in pair)
    assert len(batch) == 3
    if name == "np_random":
        # A batch draws many episodes at once, so its generators are ahead.
        assert all(isinstance(value, np.random.Generator) for value in batch)
        assert len({id(value) for value in batch}) == 3
    else:
        assert batch == apart


def test_generators_that_are_set_draw_the_next_episodes(pair):
    batch, apart = pair
    for env in (batch, apart):
        env.set_attr("np_random", [np.random.default_rng(seed) for seed in (7, 8, 9)])
    ids = [env.reset()[1]["instr_id"].tolist() for env in (batch, apart)]
    assert ids[0] == ids[1]
    batch.set_attr("np_random", [np.random.default_rng(seed) for seed in (7, 8, 9)])
    assert batch.reset()[1]["instr_id"].tolist() == ids[0]


def test_the_limit_of_steps_can_be_set(make_env):
    env = make_env(3)
    env.set_attr("max_episode_steps", 1)
    env.reset(seed=0)
    *_, truncated, _ = env.step(np.ones(3, dtype=int))
    assert truncated.all()
    assert env.get_attr("max_episode_steps") == (1, 1, 1)
    env.set_attr("max_episode_steps", [5, 5, 5])
    assert env.max_episode_steps == 5


@pytest.mark.parametrize(
    ("name", "values", "error", "message"),
    [
        ("render_mode", None, AttributeError, "'render_mode' .* cannot be set; only max_episode"),
        ("max_episode_steps", [4, 5, 5], ValueError, "must be the same for all agents"),
        ("max_episode_steps", 0, ValueError, "max_episode_steps is 0"),
        ("max_episode_steps", [4, 4], ValueError, "2 values for 3 agents"),
        ("np_random", [1, 2, 3], ValueError, r"must be numpy\.random\.Generator"),
        ("np_random", np.random.default_rng(0), ValueError, "different generator for each agent"),
    ],
)
def test_values_that_do_not_fit_are_refused(make_env, name, values, error, message):
    with pytest.raises(error, match=message):
        make_env(3).set_attr(name, values)


def test_unknown_names_are_refused_with_those_that_exist(make_env):
    env = make_env(2)
    known = "action_masks, action_space, episode"
    for access in (env.call, env.get_attr):
        with pytest.raises(AttributeError, match=f"no attribute 'gravity', only {known}.*spec$"):
            access("gravity")
    with pytest.raises(AttributeError, match=r"use env\.unwrapped\.nav_world of the whole batch"):
        env.get_attr("nav_world")
    with pytest.raises(TypeError, match=r"action_masks\(\) takes no arguments"):
        env.call("action_masks", 1)


def test_action_masks_require_a_reset(make_env):
    env = make_env(2)
    with pytest.raises(gym.error.ResetNeeded, match="before asking for action masks"):
        env.action_masks()
    env.get_attr("np_random")
    with pytest.raises(gym.error.ResetNeeded):
        env.call("action_masks")
