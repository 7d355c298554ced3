"""The process of habitat-sim: restarts, reasons of failures, and its interpreter."""

import errno
import json
import logging
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from clipnav.envs.continuous.habitat_simulator import HabitatFloor
from clipnav.envs.continuous.settings import R2R_CE
from clipnav.envs.habitat import client
from clipnav.envs.habitat.client import (
    VARIABLE,
    HabitatProcessError,
    HabitatRequestError,
    HabitatServer,
    check_habitat,
    habitat_python,
)
from clipnav.storage.errors import UserError
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
    monkeypatch.setattr(process, "_socket", Interrupted(process._socket))
    with pytest.raises(KeyboardInterrupt):
        server.call("missing")
    assert server.call("probe") == [1, 8, 8, 3]


class Interrupted:
    """Socket on which the user presses Ctrl-C while an answer is awaited."""

    def __init__(self, connection):
        self.sendall, self.settimeout, self.close = (
            getattr(connection, name) for name in ("sendall", "settimeout", "close")
        )

    def recv(self, size):
        raise KeyboardInterrupt


# What another process does instead of answering, and the end of the error.
HOSTILE = {
    "closes and lives": ("connection.shutdown(2); time.sleep(600)", "but still runs, without a"),
    "never answers": ("time.sleep(600)", "did not answer 'probe' within"),
    "a byte now and then": (
        "while True: connection.send(b' '); time.sleep(0.02)",
        "did not answer 'probe' within",
    ),
    "endless line": ("while True: connection.send(b'x' * 65536)", "more than 65536 bytes and"),
    "no JSON": (r"connection.send(b'hello\x1b[2J\n')", r"with hello\\x1b\[2J, which"),
    "no UTF-8": (r"connection.send(b'\xff\n')", "which is no answer"),
    "deep JSON": (r"connection.send(b'[' * 60000 + b'\n')", "which is no answer"),
    "long number": (r"connection.send(b'1' * 9000 + b'\n')", "which is no answer"),
    "two answers": (r"connection.send(b'{}\n' * 2)", "which is no answer"),
    "a list": ("answer([])", "which is no answer"),
    "nothing": ("answer({})", "which is no answer"),
    "no words": ("answer({'error': 3, 'kind': 'ValueError', 'traceback': 3})", "ValueError"),
    "escapes in an error": (
        r"answer({'error': 'a\x1b[2J\nb', 'kind': 'ValueError'})",
        r"a\\x1b\[2J b",
    ),
    "escapes in the log": (
        r"sys.stderr.write('\x1b]0;mine\x07\n'); os._exit(1)",
        r"exit status 1: \\x1b\]0;mine\\x07",
    ),
    "long log": (r"sys.stderr.write('x' * 10**7); os._exit(1)", "exit status 1: x+"),
    "signal without a name": ("os.kill(os.getpid(), 40)", "signal 40, without a message"),
}


@pytest.mark.parametrize(("body", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_process_ends_with_one_line(stub, monkeypatch, body, message):
    monkeypatch.setattr(client, "_LONGEST_ANSWER", 65536)
    waits = "sleep" in body
    server = stub(body, timeout=0.2 if waits else 60)
    with pytest.raises(UserError, match=message) as raised:
        server.call("probe")
    text = str(raised.value)
    assert text.isprintable()
    assert len(text) < 1000


def test_a_process_that_does_not_connect_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "_START_SECONDS", 0.2)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 600\n")
    python.chmod(0o755)
    with pytest.raises(UserError, match=r"bin/python|python: .* did not connect within 0\.2 s"):
        HabitatServer(python, timeout=0.1).call("probe")


WRONG = [None, "text", 3, [], {"a": 1}, [[1, 2]], [["a", "b", "c"]], [[1, 2, 3], [4]], [[None] * 3]]
ASKED = {
    "project": lambda floor, at: floor.project(at),
    "contains": lambda floor, at: floor.contains(at),
    "clearance": lambda floor, at: floor.clearance(at),
    "step": lambda floor, at: floor.step(at, np.zeros(1), 0.25, True),
    "distances": lambda floor, at: floor.distances(at, at[0]),
    "path": lambda floor, at: floor.shortest_path(at[0], at[0]),
}


@pytest.mark.parametrize("method", ASKED)
def test_answers_of_other_shapes_and_types_are_refused(stub, monkeypatch, method):
    server = stub("answer(None)")
    floor = HabitatFloor(server, Path("attic.glb"), Path("attic.navmesh"), R2R_CE)
    for value in [*WRONG, [[10**400] * 3], [["1", "2", "3"]]]:
        if method == "path" and value == []:
            continue  # there is no path
        monkeypatch.setattr(server, "_request", lambda *_, value=value: value)
        with pytest.raises(UserError, match=f"answered '{method}' with no"):
            ASKED[method](floor, np.zeros((1, 3)))


def test_a_check_refuses_answers_of_other_types(stub, habitat_python):
    for name, wrong in (("versions", ["0.3.3"]), ("missing", 3)):
        stub(f"""
            values = {{"versions": {{}}, "missing": [], {name!r}: {wrong!r}}}
            answer({{"value": values[request["do"]]}})
        """)
        *_, last = check_habitat(habitat_python)
        assert not last.is_ok
        assert f"answered {name!r} with no" in last.text


def test_a_picture_file_that_shrinks_is_refused(stub, scene):
    server = stub("""
        os.truncate(request["memory"], 10)
        answer({"value": None})
    """)
    with pytest.raises(UserError, match="answered 'draw_into' with 10 of 192 bytes"):
        draw(server, scene)


@pytest.mark.parametrize("says", ["sleep 600", "echo nothing", "echo '{}'", "echo '{\"envs\": 3}'"])
def test_a_conda_without_an_answer_is_refused(tmp_path, monkeypatch, says):
    monkeypatch.setattr(client, "_CONDA_SECONDS", 0.2 if "sleep" in says else 60)
    conda = tmp_path / "conda"
    conda.write_text(f"#!/bin/sh\nexec {says}\n" if "sleep" in says else f"#!/bin/sh\n{says}\n")
    conda.chmod(0o755)
    monkeypatch.setenv("CONDA_EXE", str(conda))
    with pytest.raises(UserError, match="conda env list --json: no list of environments"):
        habitat_python("habitat")


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
    path, home = server.call("probe")
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


def test_everything_works_with_the_fake(habitat_python):
    checks = list(check_habitat(gpu_device_id=-1))
    assert [check.name for check in checks] == ["Python", "habitat-sim", "interface", "drawing"]
    assert all(check.is_ok for check in checks)
    assert checks[0].text == str(habitat_python)
    assert "habitat_sim 0.3.3 (the number that 0.3.4 reports too)" in checks[1].text


def test_a_python_without_habitat_is_reported_with_the_way_to_install_it(tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')  # and without numpy
    python.chmod(0o755)
    *_, last = check_habitat(python)
    assert not last.is_ok
    assert last.name == "habitat-sim"
    assert "No module named 'numpy'; install habitat-sim into a conda environment" in last.text


def test_an_old_habitat_is_reported_with_the_names_that_it_lacks(habitat_python, tmp_path):
    old = habitat_python.with_name("old")
    old.write_text(
        "#!/bin/sh\n"
        f'exec "{habitat_python}" -c "import habitat_sim, sys, runpy; '
        "del habitat_sim.PathFinder.try_step_no_sliding; sys.argv = sys.argv[2:]; "
        'runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"\n'
    )
    old.chmod(0o755)
    *_, last = check_habitat(old)
    assert last.name == "interface"
    assert not last.is_ok
    assert "lacks PathFinder.try_step_no_sliding; install 0.2.2 to 0.3.4" in last.text


def test_a_missing_device_is_reported(habitat_python, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "NONE").write_text("exit")  # the fake reads the file of the empty scene
    *_, last = check_habitat(habitat_python, gpu_device_id=0)
    assert last.name == "drawing"
    assert not last.is_ok
    assert "CUDA device 0; give gpu_device_id=-1" in last.text


def test_no_named_python_is_the_first_step(monkeypatch):
    monkeypatch.delenv("CLIPNAV_HABITAT_PYTHON", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [check] = check_habitat()
    assert not check.is_ok
    assert "conda install -n habitat" in check.text


@pytest.fixture
def environment(tmp_path):
    """Folder of a virtual environment."""
    path = tmp_path / "envs" / "habitat"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").touch(0o755)
    return path


def test_an_interpreter_or_the_folder_of_an_environment_can_be_named(environment, monkeypatch):
    python = environment / "bin" / "python"
    assert habitat_python(python) == habitat_python(str(environment)) == python
    monkeypatch.setenv(VARIABLE, str(environment))
    assert habitat_python() == python
    assert habitat_python(sys.executable) == Path(sys.executable)


def test_a_conda_environment_can_be_named(environment, tmp_path, monkeypatch):
    conda = tmp_path / "conda"
    answer = json.dumps({"envs": [str(tmp_path / "base"), str(environment)]})
    conda.write_text(f"#!/bin/sh\necho '{answer}'\n")
    conda.chmod(0o755)
    monkeypatch.setenv("CONDA_EXE", str(conda))
    assert habitat_python("habitat") == environment / "bin" / "python"
    with pytest.raises(FileNotFoundError, match=r"robot: neither .* \(conda has base, habitat\)"):
        habitat_python("robot")


def test_without_conda_the_name_is_refused(monkeypatch):
    monkeypatch.delenv("CONDA_EXE", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"habitat: neither a Python.*; correct"):
        habitat_python("habitat")


def test_a_folder_without_python_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="bin/python: this environment has no Python"):
        habitat_python(tmp_path)


def test_this_interpreter_is_used_if_habitat_is_installed_in_it(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert habitat_python() == Path(sys.executable)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"conda create -n habitat python=3\.9"):
        habitat_python()


def test_on_windows_the_systems_of_habitat_are_named(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ModuleNotFoundError, match="no package for Windows; use Linux or macOS"):
        habitat_python("habitat")
