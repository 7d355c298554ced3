import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.tokenizers import WordTokenizer


def test_observations_are_in_their_space_and_are_new_arrays(make_env):
    env = make_env()
    observation, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    seen = [observation]
    for _ in range(30):
        assert env.observation_space.contains(observation)
        observation, *_ = env.step(rng.integers(env.single_action_space.n, size=4))
        for earlier in seen[-3:]:
            for name, array in observation.items():
                assert not np.shares_memory(array, earlier[name])
        seen.append(observation)


def test_without_autoreset_ended_agents_stay(make_env):
    env = make_env(3, autoreset_mode=AutoresetMode.DISABLED)
    observation, info = env.reset(seed=1)
    stopping = np.array([0, *info["teacher_action"][1:]])
    observation, _, terminated, _, before = env.step(stopping)
    assert terminated.tolist() == [True, False, False]
    path = env.paths()[0]
    for _ in range(3):
        actions = env.teacher_actions()
        actions[0] = 1
        after, rewards, terminated, truncated, info = env.step(actions)
        assert terminated[0]
        assert not truncated[0]
        assert rewards[0] == 0
        assert info["instr_id"].tolist() == before["instr_id"].tolist()
        for name in observation:
            np.testing.assert_array_equal(after[name][0], observation[name][0])
    assert env.paths()[0] == path
    assert len(env.paths()[1]) > len(path)


def test_masked_reset_restarts_only_masked_agents(make_env):
    env = make_env(3, autoreset_mode=AutoresetMode.DISABLED)
    _, info = env.reset(seed=1)
    observation, _, terminated, _, _ = env.step(np.array([0, *info["teacher_action"][1:]]))
    ids = ["103_1", "never looked at", ""]
    options = {"reset_mask": np.array([True, False, False]), "episode_ids": ids}
    after, after_info = env.reset(options=options)
    assert list(options) == ["reset_mask", "episode_ids"]
    assert after_info["instr_id"][0] == "103_1"
    for name in observation:
        np.testing.assert_array_equal(after[name][1:], observation[name][1:])
    _, _, terminated, truncated, _ = env.step(env.teacher_actions())
    assert not (terminated | truncated)[0]


def test_a_tokenizer_or_its_file_can_be_given(make_env, tmp_path):
    tokenizer = WordTokenizer.build(["red sofa"], min_count=1)
    tokenizer.save(tmp_path / "words.json")
    for given in (tokenizer, str(tmp_path / "words.json")):
        env = make_env(tokenizer=given)
        assert env.tokenizer == tokenizer
        assert env.reset(seed=0)[0]["instruction"].max() == 5


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"world": "moon"}, ValueError, "moon: no such world; choose one of"),
        ({"dataset": "chess"}, ValueError, "chess: no such dataset"),
        ({"split": "val_seen"}, FileNotFoundError, r"R2R_val_seen\.json"),
        ({"features": "gone.safetensors"}, FileNotFoundError, "gone.safetensors"),
        ({"features": None}, ValueError, "comes without features"),
        ({"angle_feature_size": 10}, ValueError, "angle_feature_size 10"),
        ({"num_envs": 0}, ValueError, "num_envs is 0"),
        ({"max_episode_steps": 0}, ValueError, "max_episode_steps is 0"),
        ({"max_instruction_length": -1}, ValueError, "max_instruction_length is -1"),
        ({"render_mode": "human"}, ValueError, "render_mode 'human'"),
        (
            {"autoreset_mode": "sometimes"},
            ValueError,
            "'sometimes' is not one of NextStep, Same",
        ),
        ({"tokenizer": "gone.json"}, FileNotFoundError, r"gone\.json.*vocabulary\.json of a run"),
        ({"tokenizer": "tests"}, FileNotFoundError, "tests: no such file of a vocabulary"),
        ({"num_envs": 2.5}, ValueError, "num_envs is 2.5, but must be a whole number"),
        ({"max_instruction_length": float("nan")}, ValueError, "max_instruction_length is nan"),
        ({"exchanged_words": -1}, ValueError, "exchanged_words is -1"),
        ({"language": "hi"}, ValueError, r"R2R_train\.json.*'hi', only en; "),
        ({"dataset": "rxr", "language": "fr"}, ValueError, "'fr', only en-IN, hi-IN; use one"),
        ({"language": ["hi", "en"]}, ValueError, r"\['hi', 'en'\], but must be one string"),
        ({"observe": "sounds"}, ValueError, "observe 'sounds' is not one of features, indices"),
        ({"teacher": "oracle"}, ValueError, "'oracle' is not one of shortest, reference"),
        ({"reward": "money"}, ValueError, "reward 'money' is not one of distance, ndtw"),
    ],
)
def test_bad_arguments_are_refused(make_env, changes, error, message):
    with pytest.raises(error, match=message):
        make_env(**changes)


def test_bad_calls_are_refused(make_env):
    env = make_env(2)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.array([0, 0]))
    for ask in (env.metrics, env.teacher_actions, env.action_masks):
        with pytest.raises(gym.error.ResetNeeded, match="before asking for"):
            ask()
    env.get_attr("np_random")
    with pytest.raises(gym.error.ResetNeeded, match="all agents"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset(seed=0)
    for actions in ([0, 6], [-1, 0]):
        with pytest.raises(ValueError, match=r"not all in 0\.\.5"):
            env.step(np.array(actions))
    for actions in ([0], [0.5, 1.0]):
        with pytest.raises(ValueError, match="actions must be 2 integers"):
            env.step(np.array(actions))
    with pytest.raises(ValueError, match="no episode '1_1'"):
        env.reset(options={"episode_ids": ["100_0", "1_1"]})
    for name in ("episode", "episode_id"):
        with pytest.raises(ValueError, match=rf"'episode_ids', one .* 2 agents.*not \['{name}'\]"):
            env.reset(options={name: "100_0"})
    for mask in ([True], [0, 1], [False, False]):
        with pytest.raises(ValueError, match="reset_mask must be 2 bools"):
            env.reset(options={"reset_mask": np.array(mask)})


@pytest.mark.parametrize("observe", ["features", "indices"])
def test_without_copies_steps_overwrite_the_same_arrays(make_env, observe):
    kept, fresh = (make_env(copy=copy, observe=observe) for copy in (False, True))
    first, _ = kept.reset(seed=3)
    fresh.reset(seed=3)
    rng = np.random.default_rng(3)
    for _ in range(30):
        actions = rng.integers(kept.single_action_space.n, size=4)
        mine, other = kept.step(actions), fresh.step(actions)
        assert data_equivalence(mine[0], other[0])
        assert all(mine[0][name] is first[name] for name in first)


def test_infos_contain_action_masks_and_the_viewpoints_of_candidates(make_env):
    env = make_env(4)
    observation, info = env.reset(seed=2)
    world = env.nav_world
    for _ in range(20):
        masks = info["action_mask"]
        assert masks.dtype == bool
        np.testing.assert_array_equal(masks, observation["action_mask"] == 1)
        np.testing.assert_array_equal(masks, env.action_masks())
        assert info["_action_mask"].tolist() == info["_candidates"].tolist() == [True] * 4
        for row in range(4):
            graph = world.graphs[info["scan"][row]]
            moves = [name for name in info["candidates"][row] if name]
            assert sorted(moves) == sorted(graph.neighbours(info["viewpoint"][row]))
            assert (info["candidates"][row] != "")[1:].tolist() == masks[row, 1:].tolist()
            assert info["candidates"][row, 0] == ""
        last = masks.shape[1] - 1 - masks[:, ::-1].argmax(axis=1)
        expected = info["candidates"][np.arange(4), last]
        observation, _, terminated, truncated, info = env.step(last)
        if (terminated | truncated).any():
            observation, info = env.reset()
        else:
            assert info["viewpoint"].tolist() == expected.tolist()


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
