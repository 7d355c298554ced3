import json
import pickle
import shutil

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import WordTokenizer
from tests.forking import IN_PROCESSES


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


def test_encoded_instructions_match_the_info(make_env):
    env = make_env(max_instruction_length=12)
    observation, info = env.reset(seed=1)
    for tokens, text in zip(observation["instruction"], info["instruction"], strict=True):
        np.testing.assert_array_equal(tokens, env.tokenizer.encode(text, 12))
        assert tokens[-1] == 2
    assert make_env(dataset="rxr").single_observation_space["instruction"].shape == (160,)
    assert make_env().single_observation_space["instruction"].shape == (80,)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize(
    ("env_id", "ways"),
    [
        ("R2R-CLIP-v0", {}),
        ("RxR-CLIP-v0", {"teacher": "reference", "reward": "ndtw", "observe": "indices"}),
    ],
)
def test_equals_single_environments_step_by_step(tiny_arguments, env_id, ways, mode):
    tiny_arguments = {**tiny_arguments, **ways}
    many = gym.make_vec(env_id, 5, **tiny_arguments, autoreset_mode=mode.value)
    singles = gym.make_vec(
        env_id,
        5,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **tiny_arguments,
    )
    assert isinstance(many.unwrapped, VlnVectorEnv)
    assert many.metadata["autoreset_mode"] is mode
    assert many.observation_space == singles.observation_space
    assert many.action_space == singles.action_space
    rng = np.random.default_rng(0)
    observation, info = many.reset(seed=9)
    assert_same_reset((observation, info), singles.reset(seed=9))
    for _ in range(80):
        actions = np.where(rng.random(5) < 0.3, rng.integers(6, size=5), info["teacher_action"])
        ours, theirs = many.step(actions), singles.step(actions)
        for mine, other in zip(ours[1:4], theirs[1:4], strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype
        assert_same_reset((ours[0], ours[4]), (theirs[0], theirs[4]))
        info = ours[4]


def assert_same_reset(mine, other):
    assert data_equivalence(mine[0], other[0])
    assert_same_infos(mine[1], other[1])


def assert_same_infos(mine, other):
    """Compare the entries that both have; a single environment reports metrics at every step."""
    names = {n for n in mine if not n.startswith("_")}
    assert names | {"metrics"} == {n for n in other if not n.startswith("_")} | {"metrics"}
    for name in names - {"final_obs"}:
        valid = mine[f"_{name}"]
        assert (other[f"_{name}"] & valid == valid).all()
        if isinstance(mine[name], dict):
            for key, values in mine[name].items():
                if name == "metrics" and not key.startswith("_"):
                    np.testing.assert_allclose(values[valid], other[name][key][valid], atol=1e-12)
            if name == "final_info":
                assert_same_infos(mine[name], other[name])
        else:
            np.testing.assert_array_equal(mine[name][valid], other[name][valid])
    if "final_obs" in mine:
        for first, second in zip(mine["final_obs"], other["final_obs"], strict=True):
            assert first is second is None or data_equivalence(first, second)


def test_async_vector_environments_give_the_same_steps(tiny_arguments):
    several = gym.make_vec("R2R-CLIP-v0", 2, **IN_PROCESSES, **tiny_arguments)
    many = gym.make_vec("R2R-CLIP-v0", 2, **tiny_arguments)
    try:
        observation, info = many.reset(seed=4)
        assert_same_reset((observation, info), several.reset(seed=4))
        for _ in range(8):
            ours, theirs = many.step(info["teacher_action"]), several.step(info["teacher_action"])
            assert data_equivalence(ours[0], theirs[0])
            info = ours[4]
    finally:
        several.close()


def test_same_seed_same_episodes(make_env):
    first, second = make_env(), make_env()
    for _ in range(2):
        start, other = first.reset(seed=21), second.reset(seed=21)
        assert data_equivalence(start, other)
        for _ in range(40):
            actions = first.teacher_actions()
            assert data_equivalence(first.step(actions), second.step(actions))
    assert not data_equivalence(first.reset(seed=21)[1], first.reset()[1])


def test_pickles_with_its_state(make_env):
    env = make_env()
    env.reset(seed=8)
    env.step(env.teacher_actions())
    copy = pickle.loads(pickle.dumps(env))
    for _ in range(20):
        actions = env.teacher_actions()
        assert data_equivalence(env.step(actions), copy.step(actions))
    assert data_equivalence(env.reset(), copy.reset())


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


def test_unshuffled_episodes_come_in_the_order_of_the_file(make_env):
    env = make_env(4, shuffle=False)
    ids = [e.instr_id for e in env.episodes]
    assert env.reset(seed=0)[1]["instr_id"].tolist() == ids[:4]
    assert env.reset()[1]["instr_id"].tolist() == ids[4:8]
    assert env.reset(seed=0)[1]["instr_id"].tolist() == ids[:4]


def test_secret_goals_stay_secret(make_env, random_actions):
    env = make_env(2, split="test")
    observation, info = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert np.isnan(info["distance_to_goal"]).all()
        assert not info["teacher_action"].any()
        actions = random_actions(rng, observation["action_mask"])
        observation, rewards, _, _, info = env.step(actions)
        assert not rewards.any()
        assert "metrics" not in info
    assert all(np.isnan(values).all() for values in env.metrics().values())


def test_only_the_given_language_is_loaded(make_env):
    env = make_env(dataset="rxr", language="hi")
    assert {e.language for e in env.episodes} == {"hi-IN"}
    assert "दरवाज़े" in env.tokenizer.words
    assert "sofa" not in env.tokenizer.words


def test_every_split_has_the_same_spaces(make_env):
    train, unseen = make_env(), make_env(split="val_unseen")
    assert unseen.single_action_space == train.single_action_space
    assert unseen.single_observation_space == train.single_observation_space
    assert list(unseen.nav_world.graphs) == ["barn"]


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
        ({"world": "moon"}, ValueError, "'moon' is not one of"),
        ({"dataset": "cvdn"}, ValueError, "cvdn: no such dataset"),
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
    ],
)
def test_bad_arguments_are_refused(make_env, changes, error, message):
    with pytest.raises(error, match=message):
        make_env(**changes)


def test_bad_calls_are_refused(make_env):
    env = make_env(2)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(np.array([0, 0]))
    for ask in (env.metrics, env.teacher_actions):
        with pytest.raises(gym.error.ResetNeeded, match="before asking for"):
            ask()
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


def test_a_store_of_another_view_order_or_without_a_viewpoint_is_refused(
    make_env, tiny_world, tmp_path
):
    world = shutil.copytree(tiny_world, tmp_path / "world")
    store = world / "features.safetensors"
    raw = store.read_bytes()
    assert raw.count(b"bottom,middle,top") == 1
    store.write_bytes(raw.replace(b"bottom,middle,top", b"top,middle,bottom"))
    with pytest.raises(ValueError, match=r"top,middle,bottom.*bottom,middle,top"):
        make_env(data_dir=str(world), features=str(store))
    store.write_bytes(raw.replace(b"attic_a8", b"attic_z8"))
    with pytest.raises(KeyError, match="a8 of scan attic"):
        make_env(data_dir=str(world), features=str(store))


def test_errors_name_the_missing_or_damaged_graph(make_env, tiny_world, tmp_path):
    world = shutil.copytree(tiny_world, tmp_path / "world")
    path = world / "matterport" / "connectivity" / "attic_connectivity.json"
    records = json.loads(path.read_text())
    records[2]["pose"] = records[2]["pose"][:3]
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=r"attic_connectivity\.json: record 2.*pose"):
        make_env(data_dir=str(world))
    path.unlink()
    with pytest.raises(ValueError, match=r"record 0 .*'attic' has no navigation graph"):
        make_env(data_dir=str(world))


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


def test_final_observations_survive_the_restart_without_copies(make_env):
    mode = AutoresetMode.SAME_STEP
    kept, fresh = (make_env(copy=copy, autoreset_mode=mode) for copy in (False, True))
    kept.reset(seed=6)
    fresh.reset(seed=6)
    mine, other = (env.step(np.zeros(4, dtype=int)) for env in (kept, fresh))
    for first, second in zip(mine[4]["final_obs"], other[4]["final_obs"], strict=True):
        assert data_equivalence(first, second)


def test_an_unknown_observation_kind_is_refused(make_env):
    with pytest.raises(ValueError, match="observe 'sounds' is not one of features, indices"):
        make_env(observe="sounds")
