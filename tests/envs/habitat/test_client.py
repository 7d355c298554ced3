"""The process of habitat-sim ends, stays silent or refuses: restarts and reasons."""

import errno
import logging
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from clipnav.envs.habitat import client
from clipnav.envs.habitat.client import HabitatProcessError, HabitatRequestError, HabitatServer
from tests.launching import variables

STUB = """
import json, os, signal, socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
stream = connection.makefile("rwb")
def answer(value):
    stream.write(json.dumps(value).encode() + b"\\n")
    stream.flush()
for line in stream:
    request = json.loads(line)
"""


@pytest.fixture
def stub(tmp_path, monkeypatch, habitat_python):
    """Function that returns the client of a server with the same protocol and another body."""
    servers = []

    def make(body, timeout=60.0):
        path = tmp_path / "stub.py"
        path.write_text(STUB + textwrap.indent(textwrap.dedent(body), "    "), "utf-8")
        monkeypatch.setattr(client, "SERVER", path)
        servers.append(HabitatServer(habitat_python, timeout=timeout))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def draw(server, scene):
    camera = {"name": "rgb", "kind": "rgb", "size": [8, 8], "hfov": 90.0}
    return server.draw(str(scene), [camera], np.zeros((1, 3)), [0.0], [0.0])["rgb"]


def test_after_a_hard_exit_the_process_is_started_again(server, scene, floor, caplog):
    expected = draw(server, scene)
    child = server._process._child
    other = scene.with_name("other.glb")
    other.write_text("exit once")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(draw(server, other), expected)
    assert child.poll() == 1
    assert server.restarts == 1
    assert "exit status 1: unable to find (EGL device for) CUDA device 0" in caplog.text
    np.testing.assert_array_equal(draw(server, scene), expected)
    assert server.restarts == 1


def test_pictures_without_room_in_shared_memory_pass_through_a_file(
    server, scene, tmp_path, monkeypatch
):
    expected = draw(server, scene)
    shared, places, full = tmp_path / "shm", [], {str(tmp_path / "shm")}
    shared.mkdir()

    def reserve(number, start, size):
        places.append(os.readlink(f"/proc/self/fd/{number}"))
        if any(places[-1].startswith(folder) for folder in full):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(client, "_SHARED_MEMORY", shared)
    monkeypatch.setattr(os, "posix_fallocate", reserve)
    np.testing.assert_array_equal(draw(server, scene), expected)
    assert [place.startswith(str(shared)) for place in places] == [True, False]
    full.add("/")
    with pytest.raises(OSError, match="No space left"):
        draw(server, scene)
    assert not any(shared.iterdir())


def test_a_process_that_ends_again_is_an_error_with_the_reason(server, scene):
    scene.write_text("exit")
    with pytest.raises(
        HabitatProcessError,
        match=r"ended twice while it answered 'draw_into': exit status 1: unable to find .*CUDA "
        r"device 0; give gpu_device_id=-1",
    ):
        draw(server, scene)
    scene.write_text("")
    assert draw(server, scene).shape == (1, 8, 8, 3)  # it can still be used


def test_a_request_during_which_the_process_is_killed_is_repeated(stub, tmp_path):
    mark = tmp_path / "mark"
    server = stub(f"""
        if not os.path.exists({str(mark)!r}):
            open({str(mark)!r}, "w").close()
            stream.write(b'{{"value": ')  # half an answer
            stream.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        answer({{"value": request}})
    """)
    assert server.call("step", sliding=True) == {"do": "step", "sliding": True}
    assert server.restarts == 1


def test_a_silent_process_is_ended(stub):
    server = stub("time.sleep(600)", timeout=0.2)
    with pytest.raises(HabitatProcessError, match=r"did not answer 'probe' within 0\.2 s"):
        server.call("probe")
    assert server._process is None


def test_an_interrupted_request_does_not_leave_its_answer_to_the_next_one(server, monkeypatch):
    server.call("versions")
    process = server._process
    monkeypatch.setattr(process, "_stream", Interrupted(process._stream))
    with pytest.raises(KeyboardInterrupt):
        server.call("missing")
    assert server.call("probe") == [1, 8, 8, 3]


class Interrupted:
    """Stream on which the user presses Ctrl-C while an answer is awaited."""

    def __init__(self, stream):
        self.write, self.flush = stream.write, stream.flush

    def readline(self):
        raise KeyboardInterrupt


def test_a_process_that_cannot_start_is_an_error_with_its_output(tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho libGL.so.1: cannot open shared object file >&2\nexit 127\n")
    python.chmod(0o755)
    with pytest.raises(HabitatProcessError, match=r"exit status 127: libGL\.so\.1: cannot open"):
        HabitatServer(python).call("versions")


def test_errors_of_habitat_have_the_traceback_of_its_process(stub):
    server = stub("""
        answer({"error": "boom", "kind": "RuntimeError", "traceback": "File scene.py, line 7"})
    """)
    with pytest.raises(HabitatRequestError, match="boom") as raised:
        server.call("probe")
    assert raised.value.__notes__ == ["File scene.py, line 7"]
    assert server.restarts == 0


def test_a_python_without_habitat_is_named(stub, habitat_python):
    server = stub("""
        answer({"error": "No module named 'habitat_sim'", "kind": "ModuleNotFoundError"})
    """)
    with pytest.raises(ModuleNotFoundError, match=r"bin/python: No module named 'habitat_sim'; in"):
        server.call("probe")


def test_the_other_python_gets_no_path_of_this_one(stub, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere/packages")
    server = stub('answer({"value": [sys.path, os.environ.get("PYTHONHOME")]})')
    path, home = server.call("versions")
    assert "/nowhere/packages" not in path
    assert home is None


def test_infinite_and_unknown_numbers_are_exact(stub):
    server = stub('answer({"value": request["numbers"]})')
    numbers = [0.1 + 0.2, float("inf"), -1e-300]
    assert server.call("distances", numbers=numbers) == numbers


# In a process of its own, as a fork of the tests' process would inherit locks that threads hold.
FORKED = """
import os, sys
from pathlib import Path
from clipnav.envs.habitat.client import HabitatServer
from tests.envs.habitat.test_client import draw
python, scene = map(Path, sys.argv[1:])
with HabitatServer(python, gpu_device_id=-1) as server:
    expected = draw(server, scene)
    first = server._process._child.pid
    child = os.fork()
    if child == 0:
        try:
            assert (draw(server, scene) == expected).all()
            assert server._process._child.pid != first
            server.close()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (draw(server, scene) == expected).all()
    assert server._process._child.pid == first
    assert server.restarts == 0
"""


def run_program(text, *arguments, **environment):
    command = [sys.executable, "-W", "ignore", "-c", text, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=100, env=variables(environment))


def test_a_forked_process_starts_its_own_and_leaves_the_other_one(habitat_python, scene):
    run_program(FORKED, habitat_python, scene)


@pytest.fixture
def temporary(monkeypatch):
    """Empty folder of temporary files, whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


WORKER = """
import multiprocessing, sys
from pathlib import Path
from clipnav.envs.habitat.client import HabitatServer
from tests.envs.habitat.test_client import draw
python, scene = map(Path, sys.argv[1:])
server = HabitatServer(python, gpu_device_id=-1)
child = multiprocessing.get_context("fork").Process(target=draw, args=(server, scene))
child.start()
child.join()
assert child.exitcode == 0
"""


def test_a_worker_that_does_not_close_its_server_leaves_no_files(habitat_python, scene, temporary):
    run_program(WORKER, habitat_python, scene, TMPDIR=str(temporary))
    assert list(temporary.iterdir()) == []
