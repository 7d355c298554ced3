import numpy as np
import pytest
from PIL import Image

from clipnav.envs.continuous.environments.film_strip import PLAN_SIZE, draw_episode
from clipnav.envs.continuous.environments.making import make_continuous_env


@pytest.fixture(scope="module")
def env():
    small = {"rgb_size": (32, 32), "depth_size": (32, 32)}
    return make_continuous_env(split="val_unseen", observe=(), **small)


def test_a_picture_has_a_plan_and_a_column_per_moment(env):
    short = draw_episode(env, "32000_0", 2)
    long = draw_episode(env, "32000_0", 4)
    assert short.dtype == np.uint8
    assert short.shape[1] < long.shape[1]
    plan = long[12 : 12 + PLAN_SIZE[0], 12 : 12 + PLAN_SIZE[1]]
    np.testing.assert_array_equal(plan, short[12 : 12 + PLAN_SIZE[0], 12 : 12 + PLAN_SIZE[1]])
    colours = {tuple(colour) for colour in plan.reshape(-1, 3)}
    assert {(46, 139, 87), (226, 119, 30)} <= colours  # reference path and walk
    legend = long[12 + PLAN_SIZE[0] :, : 12 + PLAN_SIZE[1]]
    assert {(46, 139, 87), (226, 119, 30)} <= {tuple(colour) for colour in legend.reshape(-1, 3)}
    with pytest.raises(ValueError, match="at least 2"):
        draw_episode(env, "32000_0", 1)


def test_the_command_writes_a_picture(tmp_path, run_command):
    path = tmp_path / "episode.png"
    output = run_command("draw-continuous-episode", "--output", path, "--pictures", 2)
    assert "episode 32000_0" in output
    assert Image.open(path).width > 600
    with pytest.raises(SystemExit):
        run_command("draw-continuous-episode", "--output", tmp_path / "episode.gif")
