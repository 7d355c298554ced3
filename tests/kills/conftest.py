"""Data of the commands that are killed."""

import hashlib
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tests.kills.commands import COMMAND, TaskData, commands, pretraining_flags, task_commands
from tests.vl_tasks.conftest import write_gqa_shapes, write_shapes

CONTENT = np.random.default_rng(0).bytes(3_000_000)


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


def write_data(folder, launcher):
    """Write the data of the vision-and-language tasks, and a pre-trained run."""
    (folder / "shapes").mkdir()
    (folder / "gqa").mkdir()
    shapes = write_shapes(folder / "shapes")
    gqa, run = write_gqa_shapes(folder / "gqa", shapes), folder / "pretrained"
    arguments = [
        "pretrain-vl",
        *pretraining_flags(shapes),
        "--iterations",
        "1",
        "--output",
        str(run),
    ]
    log = folder / "log.txt"
    process = launcher.start(COMMAND, arguments, {"CLIPNAV_CACHE": folder / "cache"}, log)
    assert launcher.wait(process) == 0, log.read_text()
    return TaskData(shapes, gqa, run)


@pytest.fixture(scope="session")
def long_commands(tmp_path_factory, tiny_world, launcher):
    """Function from a name to the command; the data of the tasks is written when needed."""

    @cache
    def data():
        return write_data(tmp_path_factory.mktemp("data"), launcher)

    with ThreadingHTTPServer(("127.0.0.1", 0), SlowSite) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/file.bin"
        own = commands(tiny_world, [address, hashlib.sha256(CONTENT).hexdigest()])
        yield lambda name: own[name] if name in own else task_commands(data())[name]
        server.shutdown()
        thread.join()
