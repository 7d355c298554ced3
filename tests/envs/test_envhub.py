import runpy

import numpy as np
from gymnasium.vector import VectorEnv

from tests.conftest import ROOT


def test_the_module_makes_vector_environments_by_suite_and_task():
    make_env = runpy.run_path(str(ROOT / "docs" / "envhub" / "env.py"))["make_env"]
    suites = make_env(n_envs=2)
    assert {suite: list(tasks) for suite, tasks in suites.items()} == {"r2r-ce": [0, 1]}
    for number, split in enumerate(["val_seen", "val_unseen"]):
        env = suites["r2r-ce"][number]
        assert isinstance(env, VectorEnv)
        assert env.num_envs == 2
        assert [one.spec.kwargs["split"] for one in env.envs] == [split] * 2
    # Both in house_26, which other tests load, too.
    observation, _ = env.reset(seed=0, options={"episode_id": "26000_0"})
    assert env.observation_space.contains(observation)
    _, rewards, terminated, truncated, _ = env.step(env.action_space.sample())
    assert np.shape(rewards) == np.shape(terminated) == np.shape(truncated) == (2,)
    env.close()
