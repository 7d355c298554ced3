"""Fixtures for the tests of the environments."""

import importlib
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.worlds import world_files
from tests.conftest import ROOT


@pytest.fixture
def make_env(tiny_arguments):
    """Function that builds a `VlnVectorEnv` in the tiny world, with optional other arguments."""

    def build(num_envs=4, **changes):
        return make_vln_vector_env(num_envs, **{**tiny_arguments, **changes})

    return build


@pytest.fixture
def random_actions():
    """Function that draws a valid action per agent and stops with a given probability."""

    def draw(rng, mask, stop=0.1):
        actions = [rng.choice(np.flatnonzero(row)[1:]) for row in mask]
        return np.where(rng.random(len(actions)) < stop, 0, actions)

    return draw


@pytest.fixture
def files(tiny_world):
    return world_files("matterport", tiny_world)


@pytest.fixture
def own_world(tiny_world, tmp_path):
    """Copy of the tiny world that a test may change."""
    return shutil.copytree(tiny_world, tmp_path / "world")


@pytest.fixture
def own_files(own_world):
    return world_files("matterport", own_world)


@pytest.fixture
def guide(own_world):
    """Lines of the guide file of RxR's training split and a function that replaces them."""
    path = own_world / "rxr" / "rxr_train_guide.jsonl"

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def write(lines, name=path.name):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (own_world / "rxr" / name).write_text(text, encoding="utf-8")

    return SimpleNamespace(lines=lines, write=write)


@pytest.fixture
def habitat(monkeypatch: pytest.MonkeyPatch):
    """Fake of habitat-sim, freshly imported."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "fakes")
    for name in [name for name in sys.modules if name.startswith("habitat_sim")]:
        monkeypatch.delitem(sys.modules, name)
    module = importlib.import_module("habitat_sim")
    yield module
    for name in [name for name in sys.modules if name.startswith("habitat_sim")]:
        del sys.modules[name]
