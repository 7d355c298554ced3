import dataclasses
import functools
import json
import os
import re
import sys
from pathlib import Path

from agents.settings import presets
from clipnav.commands.agents.demo import _console_command
from viewer.site import export


def test_the_demo_writes_pages_of_its_results(tmp_path: Path, run_command, monkeypatch) -> None:
    """With short walks and small pictures."""

    def short_walks(*names, **options):
        return dataclasses.replace(preset(*names, **options), max_episode_steps=8)

    preset, page = presets.preset, functools.partial(export.export_page, width=256)
    monkeypatch.setattr(presets, "preset", short_walks)
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


def test_the_last_line_names_the_command_on_another_drive_of_windows(monkeypatch):
    def refuse(path: str) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    assert _console_command() == str(Path(sys.executable).with_name("clipnav"))
