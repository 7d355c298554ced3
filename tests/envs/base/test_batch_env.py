import dataclasses

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError


def ids_of_resets(env, count=8):
    return [env.reset()[1]["instr_id"].tolist() for _ in range(count)]


def test_a_seed_of_a_masked_reset_seeds_only_the_agents_that_restart(make_env):
    envs = [make_env(3, autoreset_mode=AutoresetMode.DISABLED) for _ in range(3)]
    masked, kept, seeded = envs
    for env in (masked, kept):
        env.reset(seed=1)
    mask = np.array([True, False, True])
    started = masked.reset(seed=6, options={"reset_mask": mask})[1]["instr_id"]
    assert started[mask].tolist() == seeded.reset(seed=6)[1]["instr_id"][mask].tolist()
    mine, unseeded, fresh = map(ids_of_resets, envs)
    assert [ids[1] for ids in mine] == [ids[1] for ids in unseeded]
    assert [ids[::2] for ids in mine] == [ids[::2] for ids in fresh]


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
