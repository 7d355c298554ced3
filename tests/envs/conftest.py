"""Fixtures of the environments' tests."""

import numpy as np
import pytest

from envs.vector_env import VlnVectorEnv


@pytest.fixture
def make_env(tiny_arguments):
    """Builds a `VlnVectorEnv` in the tiny world, with other arguments where asked for."""

    def build(num_envs=4, **changes):
        return VlnVectorEnv(num_envs, **{**tiny_arguments, **changes})

    return build


@pytest.fixture
def random_actions():
    """Draws an allowed action per agent, which stops with a given probability."""

    def draw(rng, mask, stop=0.1):
        actions = [rng.choice(np.flatnonzero(row)[1:]) for row in mask]
        return np.where(rng.random(len(actions)) < stop, 0, actions)

    return draw
