"""An agent of a package that can be imported but is not installed, as its author works with it."""

import json
import shutil
import sys
from contextlib import nullcontext

import pytest

import clipnav
from clipnav.agents import specs
from tests.agents.language_models.servers import serving
from tests.conftest import ROOT

ROW = "clipnav_wanderer:WANDERER"
WALKER = "clipnav_wanderer.walker:WALKER"
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
        "evaluate-vlm --url URL --model oracle --episodes 2 --runs RUN --output OUT "
        "--cache OUT-cache --world matterport --data-dir DATA --pictures none",
    ],
)
def test_the_same_flag_lets_commands_read_the_run(command, run, tiny_world, run_command, tmp_path):
    with serving(lambda body: '{"action": "stop"}') as server:
        names = {"RUN": run, "OUT": tmp_path / "out", "DATA": tiny_world, "URL": server.url}
        for name, value in names.items():
            command = command.replace(name, str(value))
        run_command(*command.split(), *([] if ROW in command else ["--agent", ROW]))


def test_trainings_start_from_a_run_of_the_row(fresh, world, run_command, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    words = ["train-agent", "--agent", WALKER, *world, *FLAGS, *SPLITS]
    run_command(*words, "--output", first)
    fresh()
    run_command(*words, "--start-from", first, "--output", second)
    assert json.loads((second / "config.json").read_text())["row"] == WALKER
    fresh()
    rows = ["--rows", f"a=--agent {WALKER} --start-from {first}", "b=--follower.hidden-size 16"]
    words = [*rows, "--seeds", 1, "--splits", "val_unseen", "--output", tmp_path / "rows"]
    assert "a " in run_command("compare-agents", *words, "--", *world, *FLAGS)


@pytest.fixture
def walker(tmp_path):
    """Run of a follower in the built-in houses, whose row is in an uninstalled package."""
    run = shutil.copytree(ROOT / "agents" / "sample_run", tmp_path / "run")
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**settings, "agent": "walker", "row": WALKER}))
    return run


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"evaluate-waypoint-agent RUN --agent {WALKER} --episodes 1", "walker has been reached"),
        (f"evaluate-continuous-agent RUN --agent {WALKER}", "walker has been reached"),
        (f"export-demonstrations --policy RUN --agent {WALKER} --episodes 1 --output OUT", None),
        (f"bench run --suite smoke@1 --agent {WALKER}@RUN --output OUT.json", None),
        ("evaluate-waypoint-agent RUN", f"trained with --agent {WALKER}: if you trust"),
        ("evaluate-continuous-agent RUN", f"trained with --agent {WALKER}: if you trust"),
    ],
)
def test_commands_in_houses_reach_the_row(command, message, walker, run_command, tmp_path):
    words = command.replace("RUN", str(walker)).replace("OUT", str(tmp_path / "out")).split()
    with nullcontext() if message is None else pytest.raises(clipnav.UserError, match=message):
        run_command(*words)


def test_worker_processes_know_the_row_also_if_runs_exist(fresh, world, run_command, tmp_path):
    rows = ["--rows", f"wanderer=--agent {ROW}", "follower=--follower.hidden-size 16"]
    words = [*rows, "--seeds", 1, "--splits", "val_unseen", "--output", tmp_path / "rows"]
    assert "wanderer" in run_command("compare-agents", *words, "--", *world, *FLAGS)
    (config,) = (tmp_path / "rows").rglob("wanderer-0/config.json")
    assert json.loads(config.read_text())["row"] == ROW
    fresh()
    assert "wanderer" in run_command("compare-agents", *words, "--", *world, *FLAGS)
