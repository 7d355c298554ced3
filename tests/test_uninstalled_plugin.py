"""An agent of a package that can be imported but is not installed, as its author works with it."""

import json
import sys

import pytest

import clipnav
from clipnav.agents import specs
from tests.conftest import ROOT

ROW = "clipnav_wanderer:WANDERER"
FLAGS = "--iterations 2 --evaluate-every 2 --batch-size 4".split()
SPLITS = "--select-by val_unseen --evaluation-splits val_unseen".split()


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Function that forgets the added rows, as a new process does not know them."""

    def forget():
        monkeypatch.setattr(specs._TABLE, "_rows", dict(specs._TABLE._own))

    monkeypatch.syspath_prepend(ROOT / "tests" / "plugin")
    forget()
    yield forget
    for name in [name for name in sys.modules if name.startswith("clipnav_wanderer")]:
        del sys.modules[name]


@pytest.fixture
def world(tiny_world):
    features = tiny_world / "features.safetensors"
    return ["--world", "matterport", "--data-dir", tiny_world, "--features", features]


@pytest.fixture
def run(fresh, world, run_command, tmp_path):
    """Run of the wanderer, of which a new process knows nothing but the files."""
    run = tmp_path / "run"
    run_command("train-agent", "--agent", ROW, *world, *FLAGS, *SPLITS, "--output", run)
    fresh()
    return run


def test_a_run_names_its_row_and_is_refused_with_the_flag_to_add(run):
    settings = json.loads((run / "config.json").read_text())
    assert (settings["agent"], settings["row"]) == ("wanderer", ROW)
    with pytest.raises(clipnav.UserError) as caught:
        clipnav.load_run(run, "val_unseen")
    assert "run: a run of the agent wanderer: no such agent; choose one" in str(caught.value)
    assert f"It was trained with --agent {ROW}: if you trust that module" in str(caught.value)
    clipnav.register_agent(sys.modules["clipnav_wanderer"].WANDERER)
    clipnav.load_run(run, "val_unseen")


@pytest.mark.parametrize(
    "command",
    [
        "train-agent --resume RUN --iterations 3",
        "evaluate-agent RUN --splits val_unseen",
        f"evaluate-agent --agent={ROW} RUN --splits val_unseen",
        "visualise RUN --split val_unseen --export OUT.html",
        "push RUN file:OUT",
    ],
)
def test_the_same_flag_lets_commands_read_the_run(command, run, run_command, tmp_path):
    words = command.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")).split()
    run_command(*words, *([] if ROW in command else ["--agent", ROW]))


def test_worker_processes_know_the_row_also_if_runs_exist(fresh, world, run_command, tmp_path):
    rows = ["--rows", f"wanderer=--agent {ROW}", "follower=--follower.hidden-size 16"]
    words = [*rows, "--seeds", 1, "--splits", "val_unseen", "--output", tmp_path / "rows"]
    assert "wanderer" in run_command("compare-agents", *words, "--", *world, *FLAGS)
    (config,) = (tmp_path / "rows").rglob("wanderer-0/config.json")
    assert json.loads(config.read_text())["row"] == ROW
    fresh()
    assert "wanderer" in run_command("compare-agents", *words, "--", *world, *FLAGS)
