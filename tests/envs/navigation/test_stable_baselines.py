"""Environments work with stable-baselines3 and sb3-contrib without adapters of our own."""

import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)

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
