"""Data of the commands that are killed, and the process that starts them."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.kills.commands import TaskData, commands, pretraining_flags
from tests.vl_tasks.conftest import write_gqa_shapes, write_shapes

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Launcher:
    """Client of launcher.py, which starts commands."""

    def __init__(self, process):
        self._process = process
        assert self._request(None) == "ready"

    def _request(self, line):
        if line is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def start(self, program, arguments, environment, log) -> int:
        request = {
            "program": str(program),
            "arguments": arguments,
            "environment": {name: str(value) for name, value in environment.items()},
            "log": str(log),
        }
        return int(self._request(json.dumps(request)))

    def wait(self, process: int) -> int:
        """Return the exit status of a process; negative if a signal killed it."""
        return int(self._request(f"wait {process}"))


@pytest.fixture(scope="session")
def launcher():
    program = Path(__file__).with_name("launcher.py")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment(), "OMP_NUM_THREADS": "1"},
    ) as process:
        yield Launcher(process)
        process.stdin.close()


def environment():
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


class SlowSite(BaseHTTPRequestHandler):
    """Server that sends a file slowly, from the requested byte on."""

    def do_GET(self):
        requested = self.headers.get("Range")
        start = int(requested[6:-1]) if requested else 0
        self.send_response(416 if start >= len(CONTENT) else 206 if start else 200)
        if start >= len(CONTENT):
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
        elif start:
            end = f"{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send_header("Content-Range", f"bytes {start}-{end}")
        self.send_header("Content-Length", str(max(len(CONTENT) - start, 0)))
        self.send_header("ETag", '"one"')
        self.end_headers()
        for offset in range(start, len(CONTENT), 100_000):
            try:
                self.wfile.write(CONTENT[offset : offset + 100_000])
            except OSError:  # the client was killed
                return
            time.sleep(0.02)

    def log_message(self, *arguments):
        pass


def write_data(folder):
    """Write the data of the vision-and-language tasks, and a pre-trained run."""
    (folder / "shapes").mkdir()
    (folder / "gqa").mkdir()
    shapes = write_shapes(folder / "shapes")
    gqa, run = write_gqa_shapes(folder / "gqa", shapes), folder / "pretrained"
    program = Path(__file__).parents[2] / "scripts" / "pretrain_vl.py"
    flags = [*pretraining_flags(shapes), "--iterations", "1", "--output", run]
    values = {**environment(), "CLIPNAV_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, program, *flags], check=True, env=values)
    return TaskData(shapes, gqa, run)


@pytest.fixture(scope="session")
def long_commands(tmp_path_factory, tiny_world):
    data = write_data(tmp_path_factory.mktemp("data"))
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowSite) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/file.bin"
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        yield commands(tiny_world, data, [address, sha256])
        server.shutdown()
        thread.join()
