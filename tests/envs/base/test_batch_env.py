import dataclasses

import numpy as np
import pytest

from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError


def ids_of_resets(env, count=8):
    return [env.reset()[1]["instr_id"].tolist() for _ in range(count)]


def test_seeds_of_numpy_equal_those_of_python(make_env):
    env = make_env(3)
    for seed in (np.int64(5), [np.int64(5), 6, 7], np.array([5, 6, 7])):
        env.reset(seed=5)
        python = ids_of_resets(env)
        env.reset(seed=seed)
        assert ids_of_resets(env) == python
    env.reset(seed=np.int64(5))
    assert env.np_random_seed == 5
    with pytest.raises(UserError, match=r"seed is 3\.0, but must be a whole number"):
        env.reset(seed=3.0)


def test_a_split_without_episodes_is_refused(make_env):
    split = dataclasses.replace(make_env(1).split, episodes=[])
    with pytest.raises(ValueError, match="the split has no episodes"):
        VlnVectorEnv(split)
