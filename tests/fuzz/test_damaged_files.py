"""Damaged files are read or refused with one line that names them; nothing crashes or hangs.

Few files are tried by default; CLIPNAV_FUZZ=1000 tries so many for each reader. pytest -rP shows
the counts of outcomes.
"""

import json
import os
import runpy
import selectors
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="bounds memory as Linux counts it")

HERE = Path(__file__).resolve().parent
COUNT = int(os.environ.get("CLIPNAV_FUZZ", "8"))
SECONDS = 60  # in which a reader answers
TABLE = runpy.run_path(str(HERE))


class ReadingProcess:
    """A process that reads files in bounded memory; started anew when a reader kills it."""

    def __init__(self, folder):
        self.folder = folder
        self.starts = 0
        self.process = None

    def ask(self, name):
        if self.process is None:
            self.starts += 1
            self.process = subprocess.Popen(
                [sys.executable, HERE, self.folder / str(self.starts)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            is_answered = selector.select(SECONDS)
        line = self.process.stdout.readline() if is_answered else ""
        if line:
            return json.loads(line)
        self.close()
        problem = "died" if is_answered else f"gave no answer in {SECONDS} s"
        return {"outcome": problem, "message": f"the process {problem}"}

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture(scope="module")
def reading_process(tmp_path_factory):
    process = ReadingProcess(tmp_path_factory.mktemp("damaged"))
    yield process
    process.close()


@pytest.mark.parametrize("name", TABLE["READERS"])
def test_damage_is_read_or_refused(name, reading_process, damaged_versions):
    path = Path(reading_process.ask(name)["path"])
    sound = path.read_bytes()
    counts, failures = Counter(), []
    count = COUNT // 4 if name in TABLE["SLOW"] else COUNT
    for damage, damaged in damaged_versions(sound, zlib.crc32(name.encode()), count):
        if reading_process.process is None:  # the last reading ended it
            path = Path(reading_process.ask(name)["path"])
        path.write_bytes(damaged)
        answer = reading_process.ask(name)
        counts[answer["outcome"]] += 1
        if answer["outcome"] not in ("read", "refused"):
            failures.append(f"{damage}: {answer['message']}")
    print(f"{name}: {dict(counts)}")
    assert not failures, f"{len(failures)} of {count}:\n" + "\n".join(failures[:5])
    assert counts.total() == count
