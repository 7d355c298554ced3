"""Another package adds an agent, a dataset, a world, a task and metrics: tests/plugin."""

import json
import os
import shutil
import subprocess
import sys

import gymnasium as gym
import pytest
from PIL import Image

import clipnav
from clipnav.agents import specs as agents
from clipnav.agents.settings.command_line import parse_agent
from clipnav.envs import datasets, worlds
from clipnav.envs.metrics import table as metrics
from clipnav.vl_tasks import specs as tasks
from tests.conftest import ROOT

FLAGS = "--iterations 2 --evaluate-every 2 --batch-size 4".split()
SPLITS = "--select-by val_unseen --evaluation-splits val_unseen".split()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder of the installed distribution, which this process finds."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(ROOT / "tests" / "plugin", folder / "source")  # receives build files
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(source)]
    subprocess.run([sys.executable, *words], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for table in (agents._TABLE, datasets._TABLE, tasks._TABLE, metrics._TABLE, worlds._TABLE):
            patch.setattr(table, "_rows", dict(table._rows))
            patch.setattr(table, "_imports", True)
        yield folder
    for name in [name for name in sys.modules if name.startswith("clipnav_wanderer")]:
        del sys.modules[name]
    for name in [name for name in gym.registry if name.startswith("stroll")]:
        del gym.registry[name]


@pytest.fixture(scope="module")
def world(tiny_world):
    """Flags of a world of two small buildings."""
    features = tiny_world / "features.safetensors"
    return ["--world", "matterport", "--data-dir", str(tiny_world), "--features", str(features)]


@pytest.fixture(scope="module")
def run(installed, world, tmp_path_factory):
    """Run of the wanderer, trained in a process that knows nothing but the installation."""
    run = tmp_path_factory.mktemp("runs") / "wanderer"
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    words = ["train-agent", "--agent", "wanderer", *world, *FLAGS, *SPLITS, "--output", str(run)]
    subprocess.run([sys.executable, "-m", "clipnav", *words], env=environment, check=True)
    return run


def test_the_agent_has_flags_of_its_own(installed, run_command, capsys):
    with pytest.raises(SystemExit):
        run_command("train-agent", "--agent", "wanderer", "--help-all")
    assert "--hidden-size" in capsys.readouterr().out


def test_the_agent_is_resumed_evaluated_recorded_and_shown(run, run_command, tmp_path):
    assert "wanderer" in run_command("train-agent", "--resume", run, "--iterations", 3)
    settings = json.loads((run / "config.json").read_text())
    assert (settings["agent"], settings["iterations"]) == ("wanderer", 3)
    traces, walks, page = (tmp_path / name for name in ("traces", "walks.json", "page.html"))
    words = ["--splits", "val_unseen", "--traces", traces, "--submission", walks]
    printed = run_command("evaluate-agent", run, *words)
    header = next(line for line in printed.splitlines() if line.startswith("split"))
    assert header.split()[-2:] == ["NE_median", "near"]
    assert len(json.loads(walks.read_text())) == 8
    run_command("visualise", traces, "--data-dir", settings["data_dir"], "--export", page)
    assert "wanderer" in page.read_text()
    assert "less than 10 m from the goal" in page.read_text()


def test_the_agent_is_compared_with_a_follower(installed, world, run_command, tmp_path):
    rows = ["--rows", "wanderer=--agent wanderer", "follower=--follower.hidden-size 16"]
    words = [*rows, "--seeds", 1, "--splits", "val_unseen", "--output", tmp_path / "rows"]
    printed = run_command("compare-agents", *words, "--", *world, *FLAGS)
    assert "wanderer" in printed
    assert "near" in printed
    assert "NE_median" not in printed  # intervals are of means


def test_a_follower_of_clipnav_trains_on_the_dataset(installed, world, run_command, tmp_path):
    words = ["--dataset", "stroll", "--follower.hidden-size", 16, *world, *FLAGS, *SPLITS]
    assert "follower" in run_command("train-agent", *words, "--output", tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dataset"] == "stroll"


def test_a_follower_of_clipnav_trains_in_the_world(installed, tiny_world, run_command, tmp_path):
    words = ["--world", "manor", "--data-dir", tiny_world, "--follower.hidden-size", 16]
    run, page = tmp_path / "run", tmp_path / "page.html"
    assert "follower" in run_command("train-agent", *words, *FLAGS, *SPLITS, "--output", run)
    settings = json.loads((run / "config.json").read_text())
    matterport = parse_agent(["--world", "matterport"])
    assert (settings["world"], settings["bucket"]) == ("manor", matterport.bucket)
    assert "follower" in run_command("evaluate-agent", run, "--splits", "val_unseen")
    run_command("visualise", run, "--split", "val_unseen", "--export", page)
    env = gym.make("R2R-CLIP-v0", split="val_unseen", world="manor", data_dir=tiny_world)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    with pytest.raises(FileNotFoundError, match=r"get the data with manor build, or pass the fold"):
        clipnav.world_files("manor", tiny_world).annotations("rxr", "test")


def test_a_row_needs_no_entry_point_and_its_walks_are_exported(installed, run_command, tmp_path):
    run, walks = tmp_path / "run", tmp_path / "walks"
    words = ["--agent", "clipnav_wanderer:WANDERER", *FLAGS, *SPLITS]
    run_command("train-agent", *words, "--output", run)
    assert json.loads((run / "config.json").read_text())["agent"] == "wanderer"
    words = ["--policy", run, "--episodes", 1, "--image-size", 16, "--output", walks]
    run_command("export-demonstrations", *words)
    assert any(walks.rglob("*"))


def test_the_task_trains_resumes_and_answers(installed, run_command, tmp_path):
    for split in ("train", "val"):
        for colour in ("red", "blue"):
            Image.new("RGB", (32, 32), colour).save(tmp_path / f"{split}_{colour}.png")
        lines = [f"{split}_{colour} {colour}" for colour in ("red", "blue")]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    small = ["--mcan.hidden-size", 16, "--mcan.layers", 1, "--embedding-size", 8, "--threads", 1]
    words = ["--data", tmp_path, "--output", tmp_path / "run", "--iterations", 2, *small]
    assert "val: accuracy" in run_command("finetune", "colours", *words)
    words = ["--resume", tmp_path / "run", "--iterations", 3]
    run_command("finetune", "clipnav_wanderer:COLOURS", *words)
    assert json.loads((tmp_path / "run" / "results.json").read_text())["iterations"] == 3
    words = [tmp_path / "val_red.png", "colour?", "--run", tmp_path / "run"]
    assert "colour?" in run_command("answer", *words)
