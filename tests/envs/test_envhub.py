"""The file for LeRobot's EnvHub; CLIPNAV_LEROBOT_PYTHON names a Python with lerobot and clipnav."""

import os
import runpy
import subprocess
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from tests.conftest import ROOT

FILE = ROOT / "docs" / "envhub" / "env.py"
# The expert, then an agent that stops at once, in the loop of lerobot-eval.
_ROLLOUTS = """
import runpy, sys
import numpy as np, torch
from lerobot.scripts.lerobot_eval import rollout

env = runpy.run_path(sys.argv[1])["make_env"](n_envs=2)["r2r-ce"][0]

class Agent(torch.nn.Module):
    def __init__(self, stops):
        super().__init__()
        self.stops = stops

    def reset(self):
        pass

    def select_action(self, observation):
        assert observation["observation.images.rgb"].shape == (2, 3, 224, 224)
        assert observation["observation.state"].shape == (2, 5)
        assert all(len(text) > 20 for text in observation["task"])
        actions = [0 if self.stops else e.unwrapped._info()["teacher_action"] for e in env.envs]
        return torch.tensor(actions).float()[:, None]

for stops in (False, True):
    done = rollout(env, Agent(stops), *[lambda value: value] * 4, seeds=[0, 1])
    print(done["success"].any(1).tolist(), done["done"][:, -1].tolist())
"""


@pytest.fixture
def make_env(monkeypatch):
    """The function of the file, with small pictures."""
    monkeypatch.setattr(gymnasium, "make", partial(gymnasium.make, rgb_size=(16, 16)))
    return runpy.run_path(str(FILE))["make_env"]


def test_environments_are_as_lerobot_eval_expects_them(make_env):
    suites = make_env(n_envs=2, cfg=None)
    assert {suite: list(tasks) for suite, tasks in suites.items()} == {"r2r-ce": [0, 1]}
    for number, split in enumerate(["val_seen", "val_unseen"]):
        env = suites["r2r-ce"][number]
        assert isinstance(env, VectorEnv)
        assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        assert [one.spec.kwargs["split"] for one in env.envs] == [split] * 2
    assert env.call("_max_episode_steps") == (500, 500)
    # Both in house_26, which other tests load, too.
    observation, _ = env.reset(seed=[0, 1], options={"episode_id": "26000_0", "lerobot": True})
    assert env.observation_space.contains(observation)
    assert observation["pixels"]["rgb"].shape == (2, 16, 16, 3)
    assert observation["agent_pos"].shape == (2, 5)
    assert env.call("task_description")[0] == env.envs[0].unwrapped.episode.instruction


def test_the_success_of_an_ended_episode_is_in_its_final_info(make_env):
    env = make_env(n_envs=2)["r2r-ce"][1]
    env.reset(seed=[0, 1], options={"episode_id": "26000_0"})
    stayed, info = [], {}
    while "final_info" not in info:  # the first agent follows the expert, the second turns
        teacher = env.envs[0].unwrapped._info()["teacher_action"]
        _, _, terminated, truncated, info = env.step(np.array([[teacher + 0.3], [1.9]], np.float32))
        stayed.append("is_success" in info and not info["is_success"].any())
    assert terminated.tolist() == [True, False]
    assert not truncated.any()
    assert all(stayed)
    assert info["final_info"]["is_success"].tolist() == [True, False]
    *_, info = env.step(np.array([[2.0], [0.2]], np.float32))
    assert info["final_info"]["is_success"].tolist() == [False, False]
    env.close()


@pytest.mark.long
def test_lerobots_own_rollout_counts_successes(tmp_path):
    python = os.environ.get("CLIPNAV_LEROBOT_PYTHON")
    if not python:
        pytest.skip("CLIPNAV_LEROBOT_PYTHON does not name a Python with the package lerobot")
    done = subprocess.run(
        [python, "-c", _ROLLOUTS, str(FILE)],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    ends = ["[True, True] [True, True]", "[False, False] [True, True]"]
    assert done.stdout.splitlines()[-2:] == ends
