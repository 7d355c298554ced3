import errno
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro

from clipnav.errors import friendly_errors
from clipnav.storage import write_text
from clipnav.storage.errors import UnknownNameError, UserError
from tests.clipnav.test_help import NAMES


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clipnav", name, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_wrong_input_is_reported_in_one_line(tmp_path: Path) -> None:
    missing = str(tmp_path / "walked.json")
    ended = run("evaluate-submission", missing)
    assert ended.returncode == 1
    assert missing in ended.stderr
    assert "Traceback" not in ended.stderr
    shown = run("evaluate-submission", missing, CLIPNAV_TRACEBACK="1")
    assert "Traceback" in shown.stderr
    assert missing in shown.stderr


def refuse(path: Path, *_, **__) -> None:
    """Fail as on a read-only file system."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


@pytest.mark.parametrize(
    ("fail", "name", "hint"),
    [
        (
            lambda folder: (folder / "gone").read_text(),
            "gone",
            "no such file or folder; check its name",
        ),
        (lambda folder: (folder / "no" / "x").touch(), "no/x", "its folder "),
        (lambda folder: folder.read_text(), "", "is a folder; name a file"),
        (lambda folder: (folder / "file").mkdir(), "file", "is a file; name a folder"),
        (lambda folder: (folder / "file" / "in").mkdir(), "file/in", "its parent is a file; name"),
        (lambda folder: refuse(folder / "file"), "file", "is on a read-only file system; name"),
    ],
)
def test_errors_of_the_system_name_the_file_and_a_remedy(
    fail, name, hint, tmp_path, monkeypatch
) -> None:
    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended, friendly_errors():
        fail(tmp_path)
    assert str(ended.value).startswith(f"{tmp_path / name}: {hint}")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda path: path.mkdir(), "takes no new folders; name another path"),
        (lambda path: write_text(path, ""), "cannot be written (No such file or directory); the"),
        (lambda path: write_text(path / "a.json", ""), "takes no new folders; name another path"),
    ],
)
def test_a_place_that_takes_no_files_is_named(create, message, monkeypatch) -> None:
    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as ended, friendly_errors():
        create(Path("/proc/none"))
    assert str(ended.value).startswith("/proc/none: ")
    assert message in str(ended.value)


@pytest.mark.parametrize(
    ("error", "hinted"),
    [
        (UserError("a.json: this is wrong"), False),
        (FileNotFoundError("a.json: no such file; name a run"), False),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.json"), False),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (ModuleNotFoundError("No module named 'x'"), True),
        (FloatingPointError("the loss is nan"), True),
    ],
)
def test_a_traceback_is_offered_where_it_tells_more(error, hinted, monkeypatch) -> None:
    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as ended, friendly_errors():
        raise error
    assert ("CLIPNAV_TRACEBACK" in str(ended.value)) == hinted


@pytest.mark.parametrize(
    "fail", [lambda: {}["name"], lambda: int("word"), lambda: np.zeros(2).reshape(3)]
)
def test_errors_of_the_program_keep_their_traceback(fail: Callable[[], object]) -> None:
    with pytest.raises((KeyError, ValueError)), friendly_errors():
        fail()


def test_a_network_beyond_the_memory_is_reported_in_one_line(monkeypatch) -> None:
    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as ended, friendly_errors():
        torch.nn.LSTM(1 << 20, 1 << 20)
    message, *hint = str(ended.value).split("\n")
    assert re.match(r"not enough memory \(.*tried to allocate 17592186044416 bytes.*\); ", message)
    assert len(hint) == 1


def test_unknown_names_are_reported_without_quotation_marks() -> None:
    with pytest.raises(SystemExit, match=r"^no scan 'x'$"), friendly_errors():
        raise UnknownNameError("no scan 'x'")


@pytest.mark.parametrize(
    ("words", "unbuffered"), [(["train-agent", "--help"], ""), (["--version"], "1")]
)
def test_a_closed_pipe_ends_a_command_silently(words: list[str], unbuffered: str) -> None:
    arguments = [sys.executable, "-m", "clipnav", *words]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            arguments,
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    assert done.stderr == b""


def test_a_pipe_that_is_closed_as_on_macos_ends_a_command_silently(monkeypatch) -> None:
    class Polled:
        def register(self, *_: object) -> None:
            pass

        def poll(self, _: int) -> list[tuple[int, int]]:
            return [(1, select.POLLHUP)]

    monkeypatch.setattr(select, "poll", Polled)
    assert _status_of_a_closed_pipe(monkeypatch, BrokenPipeError(errno.EPIPE, "closed")) == 1


def test_a_pipe_that_is_closed_as_on_windows_ends_a_command_silently(monkeypatch) -> None:
    monkeypatch.delattr(select, "poll")
    monkeypatch.setattr(sys, "platform", "win32")
    invalid = OSError(errno.EINVAL, "Invalid argument")
    assert _status_of_a_closed_pipe(monkeypatch, invalid) == 1
    with pytest.raises(SystemExit, match="Invalid argument"), friendly_errors():
        raise invalid  # the output can be flushed


def _status_of_a_closed_pipe(monkeypatch, error: OSError) -> object:
    """Return the exit status of a command that prints to a pipe without a reader."""

    def command(output) -> None:
        output.write("unread")
        raise error

    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patch, os.fdopen(writing, "w") as closed:
        patch.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as ended, friendly_errors():
            command(closed)
    return ended.value.code


def test_commands_run_without_signals_that_windows_lacks(monkeypatch) -> None:
    monkeypatch.setattr("clipnav.errors._HAS_ALARM", False)
    monkeypatch.delattr(signal, "SIGALRM")
    monkeypatch.delattr(signal, "setitimer")
    with pytest.raises(SystemExit, match="this is wrong"), friendly_errors():
        raise UserError("this is wrong")


def test_other_broken_pipes_are_reported() -> None:
    with pytest.raises(SystemExit, match="a worker has gone"), friendly_errors():
        raise BrokenPipeError("a worker has gone")


_ACTIONS = {"bench": ["suites"]}  # of commands that print their help without one


@pytest.mark.parametrize("name", NAMES)
def test_every_command_prints_errors_in_one_line(name: str, run_command, monkeypatch) -> None:
    def complain(*_, **__):
        raise UserError("this is wrong")

    monkeypatch.setattr(tyro, "cli", complain)
    monkeypatch.delenv("CLIPNAV_TRACEBACK")
    with pytest.raises(SystemExit, match=r"^this is wrong$"):
        run_command(name, *_ACTIONS.get(name, ()))
