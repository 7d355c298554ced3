"""Environments work with stable-baselines3 and sb3-contrib without adapters of our own."""

import warnings

import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.mark.parametrize("observe", ["features", "indices"])
def test_check_env_accepts_every_observation(tiny_arguments, observe):
    from stable_baselines3.common.env_checker import check_env

    env = gym.make("R2R-CLIP-v0", observe=observe, **tiny_arguments).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
    texts = [str(warning.message) for warning in caught]
    # A matrix is flattened by MultiInputPolicy, which the checker mentions for each of them.
    matrices = {"panorama", "candidates"} if observe == "features" else set()
    unusual = [text for text in texts if "unconventional shape" in text]
    assert {name for name in matrices if any(name in text for text in unusual)} == matrices
    assert len(unusual) == len(matrices)
    assert not [text for text in texts if "()" in text]


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
