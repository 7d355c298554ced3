"""Client of launcher.py, which starts commands in processes that need not import large packages."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Launcher:
    """A running launcher."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process
        assert self._request(None) == "ready"

    def _request(self, line: str | None) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        return self._process.stdout.readline().strip()

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
        request = {
            "program": str(program),
            "arguments": arguments,
            "folder": os.getcwd(),
            "environment": variables({name: str(value) for name, value in environment.items()}),
            "log": str(log),
            "seconds": seconds,
        }
        return int(self._request(json.dumps(request)))

    def wait(self, process: int) -> int:
        """Return the exit status of a process; negative if a signal killed it."""
        return int(self._request(f"wait {process}"))


def variables(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program: that of the tests, with one thread, and changes."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **changes}


@contextmanager
def started_launcher() -> Iterator[Launcher]:
    """Run a launcher within the context."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("launcher.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=variables({}),
    ) as process:
        yield Launcher(process)
        assert process.stdin is not None
        process.stdin.close()
