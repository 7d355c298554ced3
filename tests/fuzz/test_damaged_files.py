"""Damaged files are read, or refused with one line that names them, without crashes or hangs.

CLIPNAV_FUZZ sets the number of damaged files per reader (default 8). pytest -rP prints the counts
of outcomes.
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

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux counts it")

HERE = Path(__file__).resolve().parent
COUNT = int(os.environ.get("CLIPNAV_FUZZ", "8"))
SECONDS = 60  # timeout of a reader
SETUP_SECONDS = 600  # timeout of writing a sample, which imports what its reader requires
TABLE = runpy.run_path(str(HERE))
# Those that start a process for each file, or whose sample takes long to write.
LONG = {*TABLE["SLOW"], "pretrained_trunk"}
NAMES = [
    pytest.param(name, marks=pytest.mark.long) if name in LONG else name
    for name in TABLE["READERS"]
]


class ReadingProcess:
    """Process that reads files with limited memory; restarted after a crash or timeout."""

    def __init__(self, folder):
        self.folder = folder
        self.starts = 0
        self.process = None

    def sample(self, name):
        """Write the sample of a reader, in a new process if necessary; return its path."""
        response = self.request(name, SETUP_SECONDS)
        assert "path" in response, response["message"]
        return Path(response["path"])

    def request(self, name, seconds=SECONDS):
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
            has_responded = selector.select(seconds)
        line = self.process.stdout.readline() if has_responded else ""
        if line:
            return json.loads(line)
        self.close()
        problem = "died" if has_responded else f"did not respond within {seconds} s"
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


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_read_or_refused(name, reading_process, damaged_versions):
    path = reading_process.sample(name)
    intact = path.read_bytes()
    counts, failures = Counter(), []
    count = COUNT // 4 if name in TABLE["SLOW"] else COUNT
    for damage, damaged in damaged_versions(intact, zlib.crc32(name.encode()), count):
        if reading_process.process is None:  # the last file ended it
            path = reading_process.sample(name)
        path.write_bytes(damaged)
        response = reading_process.request(name)
        counts[response["outcome"]] += 1
        if response["outcome"] not in ("read", "refused"):
            failures.append(f"{damage}: {response['message']}")
    print(f"{name}: {dict(counts)}")
    assert not failures, f"{len(failures)} of {count}:\n" + "\n".join(failures[:5])
    assert counts.total() == count
