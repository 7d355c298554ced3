import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from tests.scripts.test_help import COMMANDS

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_wrong_input_is_told_in_a_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "walked.json")
    told = run("evaluate_submission.py", missing)
    assert told.returncode == 1
    assert missing in told.stderr
    assert "Traceback" not in told.stderr
    shown = run("evaluate_submission.py", missing, CLIPNAV_TRACEBACK="1")
    assert "Traceback" in shown.stderr
    assert missing in shown.stderr


@pytest.mark.parametrize(
    ("fail", "name", "remedy"),
    [
        (lambda folder: (folder / "gone").read_text(), "gone", "no such file or folder; check"),
        (lambda folder: folder.read_text(), "", "is a folder; name a file"),
        (lambda folder: (folder / "file").mkdir(), "file", "is a file; name a folder"),
        (lambda folder: (folder / "file" / "in").mkdir(), "file/in", "lies below a file; name a"),
    ],
)
def test_errors_of_the_system_name_the_file_and_a_remedy(
    fail, name, remedy, tmp_path, monkeypatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    friendly_errors = importlib.import_module("complaints").friendly_errors
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as told, friendly_errors():
        fail(tmp_path)
    assert str(told.value).startswith(f"{tmp_path / name}: {remedy}")


def test_who_reads_no_more_is_left_alone() -> None:
    arguments = [sys.executable, str(ROOT / "scripts" / "train_agent.py"), "--help"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(arguments, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b""


def test_other_pipes_that_break_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    friendly_errors = importlib.import_module("complaints").friendly_errors
    with pytest.raises(SystemExit, match="a worker has gone"), friendly_errors():
        raise BrokenPipeError("a worker has gone")


@pytest.mark.parametrize("script", COMMANDS)
def test_every_command_complains_alike(script: str, run_script, monkeypatch) -> None:
    def complain(*_, **__):
        raise ValueError("this is wrong")

    monkeypatch.setattr(tyro, "cli", complain)
    monkeypatch.delenv("CLIPNAV_TRACEBACK")
    with pytest.raises(SystemExit, match=r"^this is wrong\n\(CLIPNAV_TRACEBACK=1 shows where"):
        run_script(script)
