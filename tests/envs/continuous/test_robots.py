"""Robots: settings, the distribution of their noise, and noisy walks."""

import numpy as np
import pytest
from scipy import stats

from clipnav.envs.continuous.robots import draw_noise, noise_names, robot_names, robot_settings
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, ContinuousSettings

NOISE = "locobot-ilqr"
TURN = np.radians(15)


def draws(forward, turn, count=20_000, name=NOISE, scale=1.0):
    generators = [np.random.default_rng(0)] * count
    return draw_noise(name, scale, generators, np.full(count, forward), np.full(count, turn))


@pytest.mark.parametrize("name", robot_names())
def test_each_robot_has_a_body_and_a_camera(name):
    settings = ContinuousSettings(**robot_settings(name))
    assert settings.agent_radius < 0.2
    assert settings.camera_height <= settings.agent_height


def test_locobot_is_the_agent_of_rxr_ce():
    settings = ContinuousSettings(**robot_settings("locobot"))
    assert (settings.agent_radius, settings.camera_height, settings.hfov) == (0.18, 0.88, 79.0)


def test_an_unknown_robot_is_refused():
    with pytest.raises(ValueError, match="robot 'atlas': unknown; choose from habitat, locobot"):
        robot_settings("atlas")


def test_noise_of_a_step_is_a_truncated_normal_distribution():
    motion = draws(0.25, 0.0)
    for values, mean, variance, least in (
        (motion.forward, 0.014, 0.006, -0.95 * 0.25),
        (motion.right, 0.009, 0.005, -np.inf),
        (motion.left_turn, 0.008, 0.004, -np.inf),
    ):
        deviation = np.sqrt(variance)
        low = max(-3.0, (least - mean) / deviation)
        expected = stats.truncnorm(low, 3, mean, deviation)
        assert stats.kstest(values, expected.cdf).pvalue > 0.001
        assert values.min() >= mean + low * deviation


def test_turns_are_mirrored_and_keep_their_direction():
    left, right = draws(0.0, TURN), draws(0.0, -TURN)
    np.testing.assert_array_equal(left.left_turn, -right.left_turn)
    np.testing.assert_array_equal(left.forward, right.forward)
    assert (TURN + left.left_turn >= 0.05 * TURN - 1e-12).all()


@pytest.mark.parametrize("name", noise_names())
def test_no_noise_is_left_at_scale_0(name):
    assert not any(np.any(part) for part in draws(0.25, 0.0, 10, name, 0.0))


def walk(env, actions):
    env.reset(options={"episode_ids": [episode.instr_id for episode in env.episodes]})
    for action in actions:
        env.step(np.full(env.num_envs, action))
    return env.walks


ACTIONS = [FORWARD, LEFT, FORWARD, RIGHT, RIGHT, FORWARD]


def test_noise_changes_walks_and_repeats_with_the_episode(make_box_env):
    plain = walk(make_box_env(observe=()), ACTIONS)
    noisy = walk(make_box_env(observe=(), actuation_noise=NOISE), ACTIONS)
    again = walk(make_box_env(observe=(), actuation_noise=NOISE), ACTIONS)
    none = walk(make_box_env(observe=(), actuation_noise=NOISE, actuation_noise_scale=0.0), ACTIONS)
    assert (np.linalg.norm(noisy.positions - plain.positions, axis=1) > 0.01).all()
    assert (np.abs(noisy.drifts) > 0.001).all()
    np.testing.assert_array_equal(noisy.positions, again.positions)
    np.testing.assert_allclose(none.positions, plain.positions, atol=1e-12)


def test_an_agent_at_a_wall_is_stuck(make_box_env):
    env = make_box_env(observe=(), turn_angle=90.0)
    walks = walk(env, [FORWARD] * 60)
    for agent in range(env.num_envs):
        measured = env.experts.measure(*env.record(agent))
        assert measured["stuck_rate"] == walks.stuck[agent] / 60
        assert measured["collision_rate"] == walks.collisions[agent] / 60
        assert 0 < measured["stuck_rate"] <= measured["collision_rate"] < 1
        assert measured["falls"] == 0


def test_noise_of_the_sensors_of_the_pose(make_box_env):
    names = ("globalgps", "heading")
    exact, noisy = (
        make_box_env(observe=names, **noise).reset(seed=3)[0]
        for noise in ({}, {"gps_noise": 0.1, "heading_noise": 5.0})
    )
    off = np.abs(noisy["globalgps"] - exact["globalgps"])
    assert 0.01 < off.mean() < 0.3
    assert 0 < np.abs(noisy["heading"] - exact["heading"]).max() < np.radians(20)
