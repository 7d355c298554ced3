"""A dataset of another package, in the form of R2R: loaded, learnt, evaluated, submitted."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import gymnasium as gym
import pytest

import clipnav
from clipnav import DatasetSpec, UserError, register_dataset
from clipnav.agents.settings.command_line import parse_agent
from clipnav.agents.specs import agent_names, agent_spec
from clipnav.envs import datasets

MODULE = """
from pathlib import Path
from clipnav import DatasetSpec

FILES = str(Path(__file__).with_name("hide_{}.json"))
SPEC = DatasetSpec("hide", (FILES,), (FILES,), max_episode_steps=6, max_instruction_length=12)
WRONG = 3
"""
ENTRY_POINTS = "[clipnav.datasets]\nhide = hide_and_seek:SPEC\nseek = hide_and_seek:WRONG\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A distribution with a dataset of its own annotation files, installed but not imported."""
    folder = tmp_path / "site"
    (folder / "hide_and_seek-1.0.dist-info").mkdir(parents=True)
    (folder / "hide_and_seek-1.0.dist-info" / "METADATA").write_text("Name: hide-and-seek\n")
    (folder / "hide_and_seek-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "hide_and_seek.py").write_text(MODULE)
    for split in ("train", "val_unseen"):
        records = [
            {"path_id": number, "scan": e.scan, "heading": e.heading, "path": e.path}
            | {"instructions": [f"Hide in place {number}."]}
            for number, e in enumerate(clipnav.load_split("r2r", split).episodes[:6])
        ]
        (folder / f"hide_{split}.json").write_text(json.dumps(records))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(datasets._TABLE, "_rows", dict(datasets._TABLE._rows))
    yield folder
    sys.modules.pop("hide_and_seek", None)
    for name in [name for name in gym.registry if name.startswith(("hide", "seek"))]:
        del gym.registry[name]


@pytest.mark.parametrize("way", ["in the process", "by an entry point"])
def test_an_added_dataset_does_what_those_of_clipnav_do(way, package, run_command, tmp_path):
    if way == "in the process":
        from hide_and_seek import SPEC

        register_dataset(SPEC)
    else:
        datasets.register_ids()
        assert "hide_and_seek" not in sys.modules
    env = gym.make("hide-CLIP-v0", split="val_unseen", features="none")
    assert env.unwrapped.core.split.max_instruction_length == 12
    _, info = env.reset(seed=0)
    assert info["instruction"].startswith("Hide in place")
    turns = [i for i, usable in enumerate(env.reset(seed=0)[0]["action_mask"]) if usable and i][:1]
    ends = [env.step(turns[0])[3] for _ in range(6)]
    assert ends == [False] * 5 + [True]
    with pytest.raises(UserError, match="make 'hide-CLIP-v0' instead of 'R2R-CLIP-v0'"):
        gym.make("R2R-CLIP-v0", dataset="hide")

    run, submission = tmp_path / "run", tmp_path / "walks.json"
    small = ("--follower.hidden-size", 16, "--follower.embedding-size", 8, "--batch-size", 4)
    one_split = ("--evaluation-splits", "val_unseen", "--select-by", "val_unseen")
    train = ("train-agent", "--dataset", "hide", "--iterations", 2, "--no-vision", *small)
    run_command(*train, *one_split, "--output", run)
    saved = json.loads((run / "config.json").read_text())
    assert (saved["dataset"], saved["max_instruction_length"]) == ("hide", 12)
    splits = ("--splits", "val_unseen", "--submission", submission)
    assert "follower" in run_command("evaluate-agent", run, *splits)
    scored = ("evaluate-submission", submission, "--dataset", "hide")
    assert "6 of 6 instructions of hide val_unseen usable" in run_command(*scored)


@pytest.mark.parametrize("agent", [a for a in agent_names() if not agent_spec(a).continuous])
def test_an_added_dataset_has_the_default_settings_of_the_one_it_is_like(agent, package):
    rxr, own = ("--dataset", "rxr"), ("--dataset", "hide")
    register_dataset(DatasetSpec("hide", ("{}",), like="rxr", max_instruction_length=99))
    config = parse_agent(["--agent", agent, *own])
    assert config == replace(
        parse_agent(["--agent", agent, *rxr]), dataset="hide", max_instruction_length=99
    )


def test_importing_clipnav_imports_no_dataset(package):
    program = (
        "import clipnav, gymnasium, sys\n"
        "print('hide-CLIP-v0' in gymnasium.registry, 'hide_and_seek' in sys.modules)\n"
        "print(gymnasium.make_vec('hide-CLIP-v0', 2, features='none').unwrapped.max_episode_steps)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True False\n6\n", done.stderr


def test_rows_that_cannot_be_used_are_refused(package):
    with pytest.raises(
        UserError, match=r"package hide-and-seek: is a int, not of type DatasetSpec"
    ):
        clipnav.load_split("seek")
    with pytest.raises(UserError, match="the dataset 'r2r' exists already"):
        register_dataset(DatasetSpec("r2r", ("mine_{}.json",)))
    with pytest.raises(UserError, match="nowhere: no such dataset; choose one of r2r, rxr"):
        clipnav.load_split("nowhere")
    with pytest.raises(UserError, match="dataset is 3, but must be one string"):
        clipnav.load_split(3)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"hide_test\.json: .* exist: train, val_unseen"):
        clipnav.load_split("hide", "test")
    with pytest.raises(UserError, match="'hide' has no continuous walks"):
        clipnav.load_continuous_split("hide")
    (package / "hide_train.json").write_text('[{"path_id": 1}]')
    with pytest.raises(UserError, match=r"hide_train\.json.*correct the record$"):
        clipnav.load_split("hide", "train")
