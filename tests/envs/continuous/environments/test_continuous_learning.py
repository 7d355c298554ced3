"""Continuous environments work with stable-baselines3 without adapters."""

import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)

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
