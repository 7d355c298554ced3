import dataclasses
import functools
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from clipnav.agents.envdrop import settings as presets
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.commands.agents import demo
from clipnav.commands.agents.demo import _console_command
from clipnav.envs.episodes import load_episodes, splits
from clipnav.envs.sharing import SharedObjects
from clipnav.training.settings import CONFIG, read_config, to_json
from clipnav.viewer.site import export


@pytest.fixture
def few_short_walks(monkeypatch):
    """Walks of eight steps, on every twelfth episode of the evaluation splits."""
    preset = presets.preset

    def short(*names, **options):
        return dataclasses.replace(preset(*names, **options), max_episode_steps=8)

    def few(dataset, split, *others, **options):
        episodes = load_episodes(dataset, split, *others, **options)
        return episodes if split == "train" else episodes[::12]

    monkeypatch.setattr(presets, "preset", short)
    monkeypatch.setattr(splits, "load_episodes", few)
    monkeypatch.setattr(splits, "_SPLITS", SharedObjects())


@pytest.mark.usefixtures("few_short_walks")
def test_the_demo_writes_pages_of_its_results(tmp_path: Path, run_command, monkeypatch) -> None:
    """With small pictures."""
    page = functools.partial(export.export_page, width=256)
    monkeypatch.setattr(export, "export_page", page)
    run = tmp_path / "demo"
    # More threads than cores that are free wait for each other.
    printed = run_command("demo", "--iterations", 2, "--threads", 1, "--output", run)
    assert json.loads((run / "config.json").read_text())["start_from"] == str(run / "imitation")
    assert re.search(r"^val_unseen  follower, frontier  ", printed, re.MULTILINE)
    pages = re.findall(r"^Page of a ([\w ]+): (.+)$", printed, re.MULTILINE)
    # After two iterations the follower fails; whether it ever succeeds is a matter of luck.
    assert {outcome for outcome, _ in pages} & {"wrong stop", "lost"}
    for outcome, written in pages:
        text = Path(written).read_text("utf-8")
        assert Path(written).parent == run
        assert f'"outcome":"{outcome}"' in text
        assert "data:image/jpeg;base64," in text
    command, name, shown = printed.rsplit("All episodes: ", 1)[1].split()
    assert Path(command).samefile(Path(sys.executable).with_name("clipnav"))
    assert name == "visualise"
    assert Path(shown) == run


@pytest.mark.usefixtures("few_short_walks")
def test_the_same_command_continues_a_demo_that_was_stopped(
    tmp_path: Path, run_command, monkeypatch, capsys
) -> None:
    """In the second iteration of the first run, then in that of the second run."""
    command = ("demo", "--iterations", 2, "--threads", 1, "--output", tmp_path / "demo")
    learned: list[tuple[str, int]] = []

    def backward(learner: FollowerLearner, iteration: int) -> dict[str, float]:
        name = "second" if learner.config.start_from else "first"
        learned.append((name, iteration))
        if learned in ([("first", 0)], [("first", 0), ("first", 1), ("second", 0)]):
            signal.raise_signal(signal.SIGINT)
        return original(learner, iteration)

    original = FollowerLearner.backward
    scores = {"val_seen": {"SR": 0.5, "SPL": 0.5}, "val_unseen": {"SR": 0.5, "SPL": 0.5}}
    monkeypatch.setattr(FollowerLearner, "evaluate", lambda learner: scores)
    monkeypatch.setattr(FollowerLearner, "backward", backward)
    monkeypatch.setattr("clipnav.agents.experiments.runs.evaluate_run", lambda config: None)
    monkeypatch.setattr(demo, "show_outcomes", lambda config: (config.run / "a.html").touch())
    for _ in range(2):
        with pytest.raises(SystemExit, match="130"):
            run_command(*command)
        stopped = "Stopped after 1 iteration. Resume with the same command\n"
        assert capsys.readouterr().err.endswith(stopped)
    run_command(*command)
    assert learned == [(name, number) for name in ("first", "second") for number in (0, 1)]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    settings = read_config(tmp_path / "demo" / "imitation", TrainConfig)
    assert demo._folder(tmp_path / "demo", settings) == tmp_path / "demo-2", "it is finished"


def test_another_demo_does_not_continue_it(tmp_path: Path) -> None:
    imitation = tmp_path / "demo" / "imitation"
    imitation.mkdir(parents=True)
    settings = presets.preset("r2r", "houses")
    (imitation / CONFIG).write_text(to_json(settings))
    assert demo._folder(tmp_path / "demo", settings) == tmp_path / "demo"
    settings = dataclasses.replace(settings, seed=3)
    assert demo._folder(tmp_path / "demo", settings) == tmp_path / "demo-2"


def test_the_last_line_names_the_command_on_another_drive_of_windows(monkeypatch):
    def refuse(path: str) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    assert _console_command() == str(Path(sys.executable).with_name("clipnav"))
