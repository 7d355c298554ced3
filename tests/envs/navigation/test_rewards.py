import numpy as np
import pytest

from clipnav.envs.metrics import score_path
from clipnav.envs.navigation.rewards import ndtw_rewards

BEFORE = np.array([5.0, 5.0, 5.0, 0.4, 2.9, 3.0, np.nan])
AFTER = np.array([4.0, 6.0, 5.0, 2.0, 2.9, 3.0, np.nan])
STOP = np.array([False, False, False, False, True, True, False])


def test_ndtw_rewards_in_closed_form():
    before = np.array([0.2, 0.5, 0.5, 0.9, 0.7, 0.7, 0.5])
    after = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.7, 0.5])
    rewards = ndtw_rewards(BEFORE, AFTER, STOP, before, after)
    # A gain of 0.1; a loss of 0.1; nothing; a loss of 0.3 and, 0.4 m from the goal, of 2 * 0.6; a
    # stop within 3 m on a path of nDTW 0.7; a stop at 3 m, which is too far.
    expected = [1 + 0.1, -1 - 0.1, 0, -1 - 0.3 - 1.2, 2 + 1.4, -2, np.nan]
    np.testing.assert_allclose(rewards, expected, atol=1e-12)


def test_the_environment_gives_ndtw_rewards_at_each_step(make_env, random_actions):
    env = make_env(6, reward="ndtw")
    observation, info = env.reset(seed=5)
    rng = np.random.default_rng(5)
    ended, seen = np.zeros(6, dtype=bool), 0
    ndtw = env.metrics()["ndtw"]
    for _ in range(100):
        before, ndtw_before = info["distance_to_goal"], ndtw
        actions = random_actions(rng, observation["action_mask"], 0.2)
        observation, rewards, terminated, truncated, info = env.step(actions)
        ndtw = [
            score_path(env.nav_world.graphs[episode.scan], path, episode.path)["ndtw"]
            for episode, path in zip(env.current_episodes(), env.paths(), strict=True)
        ]
        for i in range(6):
            after = info["distance_to_goal"][i]
            if ended[i]:
                expected = 0
            elif actions[i] == 0:
                expected = 2 + 2 * ndtw[i] if after < 3 else -2
            else:
                expected = np.sign(before[i] - after) + ndtw[i] - ndtw_before[i]
                if before[i] <= 1 and after > before[i]:
                    expected -= 2 * (1 - before[i])
                    seen += 1
            assert rewards[i] == pytest.approx(expected, abs=1e-9)
        ended = terminated | truncated
    assert seen > 5
