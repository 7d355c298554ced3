import dataclasses
from functools import partial

import numpy as np
import pytest
from gymnasium.wrappers import TimeLimit

import clipnav
from clipnav.agents.acting.environments import feature_store, make_evaluation_envs
from clipnav.agents.acting.evaluation import evaluate_walks
from clipnav.agents.acting.rollout import walk
from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import VlnEnv


class Recorder:
    """Agent that stops row i after i moves between centre and door."""

    def __init__(self):
        self.calls = []

    def begin(self, observation, info, live):
        self.left = np.arange(len(info["instr_id"])) % 4

    def act(self, observation, info, live):
        self.calls.append(live.tolist())
        actions = np.minimum(self.left[live], 1)
        self.left[live] -= 1
        return actions


def instr_ids(env, count):
    return [episode.instr_id for episode in env.episodes[:count]]


def test_walk_drops_ended_episodes(doors_env):
    recorder = Recorder()
    walk(doors_env, recorder, instr_ids(doors_env, 6))
    assert recorder.calls == [[0, 1, 2, 3, 4, 5], [1, 2, 3, 5], [2, 3], [3]]
    assert [len(path) for path in doors_env.paths()[:6]] == [1, 2, 3, 4, 1, 2]


@pytest.mark.parametrize("count", [0, 17])
def test_walk_refuses_other_numbers_of_episodes_than_fit(doors_env, count):
    with pytest.raises(ValueError, match=f"{count} episodes for 16 environments; pass 1 to 16"):
        walk(doors_env, Recorder(), instr_ids(doors_env, count))


@pytest.mark.parametrize("max_steps", [None, 99])
def test_walk_ends_where_the_environment_truncates(doors_env, max_steps):
    class Restless(Recorder):
        def act(self, observation, info, live):
            self.calls.append(live.tolist())
            return np.ones(len(live), int)

    agent = Restless()
    walk(doors_env, agent, instr_ids(doors_env, 3), max_steps)
    assert len(agent.calls) == doors_env.max_episode_steps


def test_walk_returns_rewards_of_live_rows_and_truncated_rows(doors_env):
    # Row i goes out and back i times; of rows 0 and 1 only one that stops at its door is right.
    walked = walk(doors_env, Recorder(), instr_ids(doors_env, 4), max_steps=2)
    assert [len(rewards) for rewards in walked.rewards] == [4, 3]
    assert walked.rewards[0][0] == -2.0
    assert set(walked.rewards[0][1:]) <= {-1.0, 1.0}
    assert walked.cut.tolist() == [2, 3]


def test_a_single_id_is_refused(doors_env):
    name = doors_env.episodes[0].instr_id
    for walks in (walk, partial(clipnav.record, name="recorder")):
        with pytest.raises(TypeError, match=rf"not '{name}'; pass \['{name}'\]"):
            walks(doors_env, Recorder(), name)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_walks_and_evaluations_refuse_autoreset(doors_env, mode):
    env = VlnVectorEnv(doors_env.split, 16, doors_env.settings, mode)
    with pytest.raises(ValueError, match=f"'{mode}'.*make it with autoreset_mode='Disabled'"):
        walk(env, Recorder(), instr_ids(env, 3))
    with pytest.raises(ValueError, match=f"'{mode}'.*make it with autoreset_mode='Disabled'"):
        evaluate_walks(env, lambda place, ids: None)


def test_walks_and_evaluations_refuse_an_environment_with_one_agent(doors_env):
    env = TimeLimit(VlnEnv(doors_env.split, doors_env.settings), 5)
    with pytest.raises(TypeError, match=r"TimeLimit.*no batch of agents; .*gymnasium\.make_vec"):
        walk(env, Recorder(), instr_ids(doors_env, 3))
    with pytest.raises(TypeError, match=r"TimeLimit.*no batch of agents; .*gymnasium\.make_vec"):
        evaluate_walks(env, lambda place, ids: None)


@pytest.mark.parametrize("kind", [TrainConfig, SpeakerTrainConfig])
def test_a_split_with_secret_goals_is_refused_before_the_training(kind, tiny_world):
    config = kind(
        world="matterport",
        data_dir=tiny_world,
        features=tiny_world / "features.safetensors",
        evaluation_splits=("val_unseen", "test"),
        select_by="val_unseen",
    )
    with pytest.raises(ValueError, match="--evaluation-splits test: its goals are not published"):
        make_evaluation_envs(config, make_tokenizer(config))
    config = dataclasses.replace(config, evaluation_splits=("val_unseen",))
    assert list(make_evaluation_envs(config, make_tokenizer(config))) == ["val_unseen"]


def test_missing_features_of_a_world_are_named_with_the_commands_that_make_them(
    tmp_path, monkeypatch, doors
):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"build-houses --set standard, then .* --world houses-standard"
    ):
        feature_store(TrainConfig(world="houses-standard"))
    with pytest.raises(ValueError, match=r"comes without features; .*--features"):
        feature_store(TrainConfig(world="matterport", data_dir=doors))
