"""Another package adds an agent, without a change of clipnav: tests/plugin is installed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FLAGS = "--iterations 4 --evaluate-every 2 --batch-size 4 --evaluation-splits val_seen".split()


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Variables of processes in which the distribution is installed."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(ROOT / "tests" / "plugin", folder / "source")  # receives build files
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(source)]
    subprocess.run([sys.executable, *words], check=True)
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def clipnav(environment, tmp_path_factory):
    """Run a command in a folder of its own; return its output."""
    folder = tmp_path_factory.mktemp("runs")

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "clipnav", *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.folder = folder
    run("train-agent", "--agent", "wanderer", *FLAGS, "--output", "wanderer")
    return run


def test_the_agent_has_flags_of_its_own(clipnav):
    assert "--hidden-size" in clipnav("train-agent", "--agent", "wanderer", "--help-all")


def test_the_agent_trains_and_resumes(clipnav):
    assert "wanderer" in clipnav("train-agent", "--resume", "wanderer", "--iterations", "6")
    settings = json.loads((clipnav.folder / "wanderer" / "config.json").read_text())
    assert (settings["agent"], settings["iterations"]) == ("wanderer", 6)


def test_the_agent_is_evaluated_recorded_and_shown(clipnav):
    words = ["--splits", "val_seen", "--traces", "traces", "--submission", "walks.json"]
    assert "wanderer" in clipnav("evaluate-agent", "wanderer", *words)
    assert len(json.loads((clipnav.folder / "walks.json").read_text())) > 100
    clipnav("visualise", "traces", "--export", "page.html")
    assert "wanderer" in (clipnav.folder / "page.html").read_text()


def test_the_agent_is_compared_with_a_follower(clipnav):
    words = ["--rows", "wanderer=--agent wanderer", "follower=", "--seeds", "2", "--output", "rows"]
    flags = FLAGS[:-2]  # without --evaluation-splits
    assert "wanderer" in clipnav("compare-agents", *words, "--", *flags)


def test_the_walks_of_the_agent_are_exported(clipnav):
    words = ["--policy", "wanderer", "--episodes", "2"]
    clipnav("export-demonstrations", *words, "--output", "walks")
    assert any((clipnav.folder / "walks").rglob("*"))


def test_the_row_is_taken_without_an_entry_point(environment, tmp_path):
    words = ["train-agent", "--agent", "clipnav_wanderer:WANDERER", *FLAGS, "--output", "run"]
    words = [sys.executable, "-m", "clipnav", *words]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["agent"] == "wanderer"


def test_a_follower_of_clipnav_trains_on_the_dataset(clipnav):
    words = ["--dataset", "stroll", *FLAGS, "--output", "stroller"]
    assert "follower" in clipnav("train-agent", *words)
    assert "follower" in clipnav("evaluate-agent", "stroller", "--splits", "val_seen")
