"""Processes that are forked from one that has already imported large packages, to save time."""

import atexit
import faulthandler
import multiprocessing.context
import multiprocessing.process
import os
import runpy
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Arguments of gymnasium.make_vec. By default it forks the process of the tests, where threads of
# Ray, torch and tqdm may hold locks that nobody would release in the fork.
IN_PROCESSES: dict[str, Any] = {
    "vectorization_mode": "async",
    "vector_kwargs": {"context": "spawn"},
}


class ForkedProcess(ForkServerProcess):
    """Process with the environment of the process that starts it.

    It behaves like a spawned one: it inherits nothing but what is pickled, the environment, the
    folder and standard streams.
    """

    def start(self) -> None:
        """Start the process; the first call starts the server that forks."""
        with chdir(ROOT):  # the server finds the preloaded module there
            forkserver.ensure_running()
        self._environment = dict(os.environ)
        super().start()

    def run(self) -> None:
        """Run the target."""
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class ForkingContext(ForkServerContext):
    """Context of such processes."""

    Process = ForkedProcess  # type: ignore[assignment]


@contextmanager
def forked_instead_of_spawned() -> Iterator[None]:
    """Within it, all that asks for the start method "spawn" gets forked processes."""
    forkserver.set_forkserver_preload([__name__, "tests.preloaded"])
    contexts: dict[str, Any] = vars(multiprocessing.context)["_concrete_contexts"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(contexts, "spawn", ForkingContext())
        yield


class Launcher:
    """Starts programs in such processes."""

    def __init__(self) -> None:
        self._processes: dict[int, ForkedProcess] = {}

    def start(
        self,
        program: Path,
        arguments: list[str],
        environment: Mapping[str, object],
        log: Path,
        seconds: int = 300,
    ) -> int:
        """Start a program in the folder and environment of the test; return the process id.

        `environment` changes variables. The program writes to `log`, and ends with the tracebacks
        of its threads after so many seconds.
        """
        changed = variables({name: str(value) for name, value in environment.items()})
        words = [str(program), *arguments]
        log.touch()  # the program can be killed before it opens the file
        process = ForkedProcess(target=_run_program, args=(words, changed, log, seconds))
        process.start()
        assert process.pid is not None
        self._processes[process.pid] = process
        return process.pid

    def kill(self, process: int, number: int) -> None:
        """Send a signal to a process, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(process, number)

    def wait(self, process: int) -> int:
        """Return the exit status of a process; negative if a signal killed it."""
        ended = self._processes.pop(process)
        ended.join()
        assert ended.exitcode is not None
        return ended.exitcode


def _run_program(words: list[str], environment: dict[str, str], log: Path, seconds: int) -> None:
    """Run a program in this process as if it were the first of its session."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    # Not an alarm: commands use it, too, and waits for locks and processes continue after signals.
    faulthandler.dump_traceback_later(seconds, exit=True, file=2)
    os.environ.clear()
    os.environ.update(environment)
    warnings.simplefilter("ignore")
    sys.argv = words
    sys.path.insert(0, os.path.dirname(words[0]))
    vars(multiprocessing.process)["_parent_process"] = None  # commands look whether they have one
    # Workers are forked, too: no rays have been traced, and torch uses a single thread.
    contexts = vars(multiprocessing.context)["_concrete_contexts"]
    contexts["spawn"] = contexts["fork"]
    try:
        runpy.run_path(words[0], run_name="__main__")
    finally:
        vars(atexit)["_run_exitfuncs"]()  # the server's forks leave them out


def variables(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: that of the tests, with one thread, and changes."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}
