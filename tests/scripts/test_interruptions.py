"""Ctrl-C and SIGTERM: a line, exit status 130, and nothing left behind."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SCRIPTS
from tests.scripts.test_help import COMMANDS

REQUESTS = ("SIGINT", "SIGTERM")
# Stands in for tyro, which all commands import and then parse their arguments with.
AT_IMPORT = "import os, signal; os.kill(os.getpid(), signal.{request})"
AT_PARSING = """
from importlib.util import module_from_spec, spec_from_file_location
import os, signal, sys
sys.path = [one for one in sys.path if one != os.path.dirname(__file__)]
del sys.modules["tyro"]
import tyro
def cli(*_, **__):
    try:
        os.kill(os.getpid(), signal.{request})
    except BaseException:
        raise ImportError("as C extensions turn it into")
tyro.cli = cli
"""


def ended(script, tmp_path, tyro) -> tuple[int, str]:
    (tmp_path / "tyro.py").write_text(tyro)
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(SCRIPTS.parent)])},
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("script", ["train_agent.py", "extract_features.py"])
def test_while_modules_are_imported_it_is_a_line(script, request_, tmp_path):
    code, told = ended(script, tmp_path, AT_IMPORT.format(request=request_))
    assert (code, told) == (130, "Stopped before anything was done.\n")


@pytest.mark.parametrize("request_", REQUESTS)
def test_later_it_is_a_line_whatever_error_comes_of_it(request_, tmp_path):
    code, told = ended("extract_features.py", tmp_path, AT_PARSING.format(request=request_))
    assert code == 130
    assert told.startswith("Stopped. No file is half written.")
    assert told.count("\n") == 1


@pytest.mark.parametrize("script", COMMANDS)
def test_nothing_is_imported_before(script):
    body = ast.parse((SCRIPTS / script).read_text()).body
    first = next(one for one in body if isinstance(one, ast.Import | ast.ImportFrom))
    assert isinstance(first, ast.ImportFrom)
    assert first.module == "complaints"


def test_what_is_kept_is_said(monkeypatch, capsys):
    from complaints import friendly_errors

    from training.interruption import Stopped, interruption_message

    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with (
            pytest.raises(SystemExit) as end,
            friendly_errors(),
            interruption_message(lambda: "3 of 4 are kept"),
        ):
            signal.raise_signal(signal.SIGTERM)
    finally:
        assert signal.getsignal(signal.SIGTERM) == handler
    assert end.value.code == 130
    assert capsys.readouterr().err == "Stopped. 3 of 4 are kept\n"
    with pytest.raises(SystemExit) as end, friendly_errors():
        raise Stopped("after 3 iterations")
    assert end.value.code == 130
    assert capsys.readouterr().err == "after 3 iterations\n"


def test_requests_within_destructors_are_not_lost(monkeypatch, capsys):
    from complaints import friendly_errors

    class Destroyed:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    def work():
        Destroyed()
        while True:
            pass

    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as end, friendly_errors():
        work()
    assert end.value.code == 130
    assert capsys.readouterr().err.startswith("Stopped. No file")


WORKERS = """
import sys, os, time, signal
from pathlib import Path
from complaints import friendly_errors
from storage import atomic_write
from storage.processes import run_jobs

def work(job):
    with atomic_write(job) as beside:
        job.with_suffix(".begun").write_text(str(os.getpid()))
        time.sleep(600)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with friendly_errors():
        list(run_jobs(work, [folder / f"{k}.txt" for k in range(4)], 2, "works"))
"""


@pytest.mark.parametrize("request_", [*REQUESTS, "SIGKILL"])
def test_worker_processes_end_with_the_command(tmp_path, request_):
    program = tmp_path / "program.py"
    program.write_text(WORKERS)
    folder = tmp_path / "jobs"
    folder.mkdir()
    path = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)])
    with subprocess.Popen(
        [sys.executable, str(program), str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    ) as command:
        while len(begun := list(folder.glob("*.begun"))) < 2 or not all(map(number, begun)):
            assert command.poll() is None
        workers = list(map(number, begun))
        if request_ == "SIGINT":  # as a terminal does it: to all of them
            os.killpg(command.pid, signal.SIGINT)
        else:
            command.send_signal(getattr(signal, request_))
        # Ends when nobody holds the other end of the pipe any more, workers included.
        told = command.stderr.read() if command.stderr else ""
    assert not any(map(lives, workers))
    if request_ == "SIGKILL":
        return
    assert command.returncode == 130
    assert told.startswith("Stopped. ")
    assert told.count("\n") == 1
    assert not list(folder.glob("*writing*"))
    assert len(list(folder.iterdir())) == 2


def number(path: Path) -> int:
    return int(path.read_text() or 0)


def lives(process: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
