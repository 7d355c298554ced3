import json
import os
import re
import subprocess
import sys
from pathlib import Path

from clipnav.commands.agents.demo import _console_command

ROOT = Path(__file__).parents[2]


def test_the_demo_writes_pages_of_its_results(tmp_path: Path) -> None:
    run = tmp_path / "demo"
    # More threads than cores that are free wait for each other.
    flags = ("--iterations", "2", "--threads", "1")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", *flags, "--output", run],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "config.json").read_text())["start_from"] == str(run / "imitation")
    assert re.search(r"^val_unseen  follower, frontier  ", done.stdout, re.MULTILINE)
    pages = re.findall(r"^Page of a ([\w ]+): (.+)$", done.stdout, re.MULTILINE)
    # After two iterations the follower fails; whether it ever succeeds is a matter of luck.
    assert {outcome for outcome, _ in pages} & {"wrong stop", "lost"}
    for outcome, page in pages:
        text = Path(page).read_text("utf-8")
        assert Path(page).parent == run
        assert f'"outcome": "{outcome}"' in text
        assert "data:image/jpeg;base64," in text
    command, name, shown = done.stdout.rsplit("All episodes: ", 1)[1].split()
    assert Path(command).samefile(Path(sys.executable).with_name("clipnav"))
    assert name == "visualise"
    assert Path(shown) == run


def test_the_last_line_names_the_command_on_another_drive_of_windows(monkeypatch):
    def refuse(path: str) -> str:
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    monkeypatch.setattr(os.path, "relpath", refuse)
    assert _console_command() == str(Path(sys.executable).with_name("clipnav"))
