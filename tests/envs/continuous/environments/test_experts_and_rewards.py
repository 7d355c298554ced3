"""The expert's walks, rewards, and pictures of episodes."""

import numpy as np
import pytest
from PIL import Image

from clipnav.envs.continuous.environments.making import make_continuous_env
from clipnav.envs.continuous.environments.rendering import PLAN_SIZE, draw_episode
from clipnav.envs.continuous.environments.vector_env import (
    RunningDtw,
    progress_rewards,
    step_rewards,
)
from clipnav.envs.continuous.measures import Walk, measure_walk
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.drawing.canvas import AGENTS, CARD, WAY, mixed

BEFORE = np.array([5.0, 5.0, 2.0, np.inf, np.nan])
AFTER = np.array([4.75, 5.25, 2.0, np.inf, 1.0])


def test_progress_rewards_are_those_of_the_waypoint_task():
    stop = np.array([False, False, True, False, False])
    rewards = progress_rewards(BEFORE, AFTER, stop, task_settings("r2r"))
    np.testing.assert_allclose(rewards, [0.2, -0.3, 2.45, -1.05, -1.05])
    own = task_settings("r2r", slack_reward=0.0, success_reward=1.0)
    np.testing.assert_allclose(progress_rewards(BEFORE, AFTER, stop, own), [0.25, -0.25, 1, -1, -1])


@pytest.mark.parametrize(("reward", "expected"), [("distance", 2.0), ("ndtw", 2.0 + 2 * 0.7)])
def test_a_stop_is_rewarded_within_the_success_distance(reward, expected):
    settings = task_settings("r2r", reward=reward, success_distance=1.0)
    distance, stop = np.array([0.9, 1.1]), np.ones(2, bool)
    ndtw = (np.full(2, 0.7), np.full(2, 0.7)) if reward == "ndtw" else None
    rewards = step_rewards(distance, distance, stop, settings, ndtw)
    np.testing.assert_allclose(rewards, [expected, -2.0])


def test_running_ndtw_equals_the_measure_of_the_walk():
    rng = np.random.default_rng(4)
    references = [rng.random((count, 3)) * 4 for count in (3, 9)]
    positions = rng.random((2, 3))
    dtw = RunningDtw(2, 3.0)
    dtw.start(np.arange(2), references, positions)
    walks = [[position] for position in positions]
    for step in range(12):
        moves = np.array([step % 3 > 0, step % 2 > 0])  # the other agent stays
        positions = positions + moves[:, None] * rng.normal(scale=0.3, size=(2, 3))
        dtw.step(positions)
        for walk, position in zip(walks, positions, strict=True):
            walk.append(position)
        for agent, walk in enumerate(walks):
            whole = Walk(np.array(walk), np.zeros(len(walk)), False)
            expected = measure_walk(whole, references[agent])["ndtw"]
            assert dtw.values()[agent] == pytest.approx(expected)


@pytest.fixture(scope="module")
def env():
    small = {"rgb_size": (32, 32), "depth_size": (32, 32)}
    return make_continuous_env(split="val_unseen", observe=(), **small)


def test_a_picture_has_a_plan_and_a_column_per_moment(env):
    short = draw_episode(env, "26000_0", 2)
    long = draw_episode(env, "26000_0", 4)
    assert short.dtype == np.uint8
    assert short.shape[1] < long.shape[1]
    plan = np.s_[12 : 12 + PLAN_SIZE[1], 12 : 12 + PLAN_SIZE[0]]
    np.testing.assert_array_equal(long[plan], short[plan])
    colours = {tuple(colour) for colour in long[plan].reshape(-1, 3)}
    assert {mixed(CARD, WAY, 0.5), AGENTS[0]} <= colours  # reference path and walk
    with pytest.raises(ValueError, match="at least 2"):
        draw_episode(env, "26000_0", 1)


def test_the_command_writes_a_picture(tmp_path, run_command):
    path = tmp_path / "episode.png"
    output = run_command("draw-continuous-episode", "--output", path, "--pictures", 2)
    assert "episode 26000_0" in output
    assert Image.open(path).width > 600
    with pytest.raises(SystemExit):
        run_command("draw-continuous-episode", "--output", tmp_path / "episode.gif")
