"""Ctrl-C and SIGTERM: a line, exit status 130, and nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from clipnav.cli import main
from clipnav.errors import friendly_errors
from clipnav.training.interruption import Stopped, interruption_message

ROOT = Path(__file__).parents[2]
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


def ended(words, tmp_path, tyro) -> tuple[int, str]:
    (tmp_path / "tyro.py").write_text(tyro)
    done = subprocess.run(
        [sys.executable, *words, "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ((str(ROOT / "scripts" / "train_agent.py"),), "SIGINT"),
        (("-m", "clipnav", "extract-features"), "SIGTERM"),
        ((str(Path(sys.executable).with_name("clipnav")), "train-agent"), "SIGINT"),
    ],
    ids=("script", "module", "console"),
)
def test_a_signal_during_imports_ends_a_command_with_one_line(words, request_, tmp_path):
    code, message = ended(words, tmp_path, AT_IMPORT.format(request=request_))
    assert (code, message) == (130, "Stopped before anything was written.\n")


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_later_signal_ends_a_command_with_one_line(request_, tmp_path):
    words = ("-m", "clipnav", "extract-features")
    code, message = ended(words, tmp_path, AT_PARSING.format(request=request_))
    assert code == 130
    assert message.startswith("Stopped. All written files are complete.")
    assert message.count("\n") == 1


def test_the_package_leaves_the_signals_of_other_programs_alone():
    program = (  # shells ignore SIGINT in background jobs
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import clipnav; print(signal.getsignal(signal.SIGINT).__name__)"
    )
    words = [sys.executable, "-c", program, "clipnav", "train-agent"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "default_int_handler\n", done.stderr


def test_the_message_states_what_is_kept(monkeypatch, capsys):
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


@pytest.mark.parametrize(("name", "continues"), [("evaluate-agent", False), ("evaluate-vlm", True)])
def test_only_commands_that_continue_say_so(name, continues, monkeypatch, capsys):
    def interrupt(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.delenv("CLIPNAV_TRACEBACK", raising=False)
    monkeypatch.setattr(tyro, "cli", interrupt)
    with pytest.raises(SystemExit):
        main([name])
    message = capsys.readouterr().err
    assert message.startswith("Stopped. All written files are complete.")
    assert ("Run the same command again to continue." in message) == continues
    assert "--resume" not in message


@pytest.mark.parametrize("has_alarm", [True, False])
def test_signals_within_destructors_are_not_lost(has_alarm, monkeypatch, capsys):
    monkeypatch.setattr("clipnav.errors._HAS_ALARM", has_alarm)  # False on Windows

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
    assert capsys.readouterr().err.startswith("Stopped. All written")


WORKERS = """
import sys, os, time, signal
from pathlib import Path
from clipnav.errors import friendly_errors
from clipnav.storage import atomic_write
from clipnav.storage.processes import run_jobs

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
    with subprocess.Popen(
        [sys.executable, str(program), str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as command:
        while len(begun := list(folder.glob("*.begun"))) < 2 or not all(map(number, begun)):
            assert command.poll() is None
        workers = list(map(number, begun))
        if request_ == "SIGINT":  # as a terminal does it: to all of them
            os.killpg(command.pid, signal.SIGINT)
        else:
            command.send_signal(getattr(signal, request_))
        # The read ends when all processes, workers included, have closed the other end of the pipe.
        message = command.stderr.read() if command.stderr else ""
    assert not any(map(lives, workers))
    if request_ == "SIGKILL":
        return
    assert command.returncode == 130
    assert message.startswith("Stopped. ")
    assert message.count("\n") == 1
    assert not list(folder.glob("*writing*"))
    assert len(list(folder.iterdir())) == 2


def number(path: Path) -> int:
    return int(path.read_text() or 0)


def lives(process: int) -> bool:
    try:
        return "zombie" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
