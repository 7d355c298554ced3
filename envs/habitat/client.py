"""HabitatServer: habitat-sim in another process, its interpreter, and a check of all of it."""

import errno
import importlib.util
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from clipnav.envs.habitat.server import Camera, layout
from clipnav.storage.errors import UserError, truncate

VARIABLE = "CLIPNAV_HABITAT_PYTHON"
_INSTALL = (
    "install habitat-sim into a conda environment of its own, because no package fits the Python "
    "of clipnav (conda create -n habitat python=3.9; conda install -n habitat habitat-sim headless "
    f"-c conda-forge -c aihabitat), and name it with {VARIABLE}=habitat; clipnav habitat-server "
    "--check reports what is missing"
)
_LOG = logging.getLogger(__name__)
_SHARED_MEMORY = Path("/dev/shm")
_BATCH = 64 * 2**20  # bytes of pictures per request
# Seconds for an interpreter to start at least, between two looks at it, for a process to end that
# has closed its connection at most, and for conda's list of environments.
_START_SECONDS, _POLL_SECONDS, _END_SECONDS, _CONDA_SECONDS = 60.0, 0.1, 10.0, 60.0
_PART, _LONGEST_ANSWER = 2**16, 64 * 2**20  # bytes
# Characters of the log that are read, lines of it in an error, and lines of a traceback.
_LOG_END, _LINES, _TRACEBACK_LINES = 2**14, 6, 60
_LONGEST_LINE = 500
_TYPES: dict[str, type] = {
    "versions": dict,
    "missing": list,
    "sticks": bool,
}  # of answers by method
# Errors of a request that the user can correct, by name; others are errors of the program.
_ERRORS: dict[str, type[Exception]] = {
    "ValueError": UserError,
    "FileNotFoundError": FileNotFoundError,
}


def habitat_python(name: str | Path | None = None) -> Path:
    """Return the interpreter that imports habitat-sim; it is not started.

    Args:
        name: Python interpreter, folder of a virtual or conda environment, or name of a conda
            environment. None for the value of CLIPNAV_HABITAT_PYTHON, or else for this interpreter
            if habitat-sim is installed in it.
    """
    if sys.platform == "win32":
        raise ModuleNotFoundError(
            "habitat-sim: there is no package for Windows; use Linux or macOS, or the Windows "
            "Subsystem for Linux (WSL)"
        )
    name = name or os.environ.get(VARIABLE)
    if not name:
        if importlib.util.find_spec("habitat_sim") is None:
            raise ModuleNotFoundError(f"habitat-sim is not installed; {_INSTALL}")
        return Path(sys.executable)
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        return _python_in(path)
    if path.is_file() and os.access(path, os.X_OK):
        return path.absolute()  # a name without a folder would be searched in PATH
    known = {} if os.sep in str(name) else _conda_environments()
    if str(name) in known:
        return _python_in(known[str(name)])
    names = f" (conda has {', '.join(sorted(known))})" if known else ""
    raise FileNotFoundError(
        f"{name}: neither a Python interpreter, the folder of an environment, nor the name of a "
        f"conda environment{names}; correct {VARIABLE} or the argument"
    )


def _python_in(folder: Path) -> Path:
    path = folder / "bin" / "python"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this environment has no Python; name another folder")
    return path


def _conda_environments() -> dict[str, Path]:
    """Return the folders of conda's environments by name; none if there is no conda."""
    conda = os.environ.get("CONDA_EXE") or shutil.which("conda") or shutil.which("mamba")
    if conda is None:
        return {}
    command = [conda, "env", "list", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_CONDA_SECONDS)
        if done.returncode:
            return {}
        return {Path(folder).name: Path(folder) for folder in json.loads(done.stdout)["envs"]}
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        raise UserError(
            f"{conda} env list --json: no list of environments within {_CONDA_SECONDS:g} s; name "
            f"the folder of the environment with {VARIABLE} or the argument"
        ) from None


SERVER = Path(__file__).with_name("server.py")


class HabitatProcessError(UserError, ChildProcessError):
    """The process of habitat-sim ended or does not answer; the message contains the reason."""


class HabitatRequestError(RuntimeError):
    """A request failed in habitat-sim; the traceback of its process is a note of the error."""


class HabitatServer:
    """habitat-sim under another Python, on the other side of a local socket.

    The process starts with the first request. habitat-sim ends its process if its graphics device
    is missing, for example; the process is then started again and the request repeated once.
    A copy in a child process or from a pickle starts a process of its own.

    Args:
        gpu_device_id: CUDA device that draws, -1 for software; None for 0 if there is an NVIDIA
            device, otherwise -1.
        timeout: Seconds for the whole answer to a request.

    Attributes:
        restarts: Number of times that the process was started again.
    """

    def __init__(
        self,
        python: str | Path | None = None,
        gpu_device_id: int | None = None,
        timeout: float = 600.0,
    ) -> None:
        self._arguments = python, gpu_device_id, timeout
        self._python, self._gpu_device_id, self._timeout = python, gpu_device_id, timeout
        self._process: _Process | None = None
        self._lock = RLock()
        self.restarts = 0

    def call(self, method: str, **arguments: Any) -> Any:
        """Return the result of a method of `clipnav.envs.habitat.server.Habitat`."""
        with self._lock:
            try:
                return self._request(method, arguments)
            except _ProcessEndedError as ended:
                self.close()
                self.restarts += 1
                _LOG.warning("habitat-sim ended (%s); it is started again", ended)
            try:
                return self._request(method, arguments)
            except _ProcessEndedError as ended:
                self.close()
                raise HabitatProcessError(
                    f"habitat-sim ended twice while it answered {method!r}: {ended}"
                ) from None

    def call_array(
        self, method: str, shape: tuple[int, ...], dtype: type = float, **arguments: Any
    ) -> np.ndarray:
        """Return the result of a method as an array of this shape, in which -1 is any length."""
        value = self.call(method, **arguments)
        try:
            array = np.array(value)
            is_kind = array.dtype.kind in ("b" if dtype is bool else "iuf")
            if not is_kind or (array.size and array.ndim != len(shape)):
                raise ValueError
            return array.reshape(shape).astype(dtype)
        except (ValueError, OverflowError):
            raise self._refused(method, f"no {dtype.__name__}s of shape {shape}") from None

    def draw(
        self,
        scene: str,
        cameras: Sequence[Camera],
        positions: np.ndarray,
        yaws: Sequence[float],
        pitches: Sequence[float],
    ) -> dict[str, np.ndarray]:
        """Draw pictures; see `clipnav.envs.habitat.server.Habitat.draw`."""
        cameras, count = list(cameras), len(positions)
        size = layout(cameras, 1)[-1][2]
        step = max(1, _BATCH // size)
        parts: dict[str, list[np.ndarray]] = {camera["name"]: [] for camera in cameras}
        for start in range(0, count, step):
            rows = slice(start, start + step)
            request = {
                "scene": scene,
                "cameras": cameras,
                "positions": np.asarray(positions, float)[rows].tolist(),
                "yaws": [float(yaw) for yaw in yaws[rows]],
                "pitches": [float(pitch) for pitch in pitches[rows]],
            }
            for name, pictures in self._draw(request).items():
                parts[name].append(pictures)
        return {name: np.concatenate(pictures) for name, pictures in parts.items()}

    def close(self) -> None:
        """End the process; the next request starts it again."""
        with self._lock:
            if self._process is not None:
                self._process.end()
            self._process = None

    def __enter__(self) -> "HabitatServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return HabitatServer, self._arguments

    def _draw(self, request: dict[str, Any]) -> dict[str, np.ndarray]:
        """Draw pictures that fit into the shared memory together."""
        count, drawn = len(request["positions"]), {}
        parts = layout(request["cameras"], count)
        # Mapped memory would end this process by a signal if the other one shortens the file.
        with self._lock, _shared_file(parts[-1][2]) as memory, memory.open("rb") as file:
            self.call("draw_into", memory=str(memory), **request)
            shared = np.fromfile(file, np.uint8, parts[-1][2])
            if len(shared) != parts[-1][2]:
                raise self._refused("draw_into", f"{len(shared)} of {parts[-1][2]} bytes")
            for camera, (name, start, stop) in zip(request["cameras"], parts, strict=True):
                size, rgb = (count, *camera["size"]), camera["kind"] == "rgb"
                pixels = shared[start:stop].view(np.uint8 if rgb else np.float32)
                drawn[name] = pixels.reshape((*size, 3) if rgb else size)
        return drawn

    def _request(self, method: str, arguments: dict[str, Any]) -> Any:
        if self._process is not None and self._process.owner != os.getpid():
            self._process = None  # it belongs to the process from which this one was forked
        if self._process is None:
            python = habitat_python(self._python)
            self._process = _Process(python, self._gpu_device_id, self._timeout)
        try:
            answer = self._process.ask({"do": method, **arguments})
        except TimeoutError:
            self.close()
            raise HabitatProcessError(
                f"habitat-sim did not answer {method!r} within {self._timeout:g} s and was ended"
            ) from None
        except _NoAnswerError as error:
            raise self._refused(method, str(error)) from None
        except KeyboardInterrupt:
            self.close()  # otherwise the next request would read the answer to this one
            raise
        if "value" in answer:
            if not isinstance(answer["value"], _TYPES.get(method, object)):
                raise self._refused(method, f"no {_TYPES[method].__name__}")
            return answer["value"]
        kind, message, trace = (
            answer[name] if isinstance(answer.get(name), str) else ""
            for name in ("kind", "error", "traceback")
        )
        message = truncate(message or kind or "an error without a message", _LONGEST_LINE)
        if kind in ("ImportError", "ModuleNotFoundError"):
            raise ModuleNotFoundError(f"{self._process.python}: {message}; {_INSTALL}")
        error = _ERRORS.get(kind, HabitatRequestError)(message)
        error.add_note("\n".join(_printable(trace)[-_TRACEBACK_LINES:]))
        raise error

    def _refused(self, method: str, answer: str) -> HabitatProcessError:
        """End the process, and return the error of an answer that makes no sense."""
        python = self._process.python if self._process is not None else self._python
        self.close()
        return HabitatProcessError(
            f"{python}: the server of habitat-sim answered {method!r} with {answer} and was ended; "
            f"check that {VARIABLE} or the argument names the Python of habitat-sim, and that "
            "nothing which it imports answers instead"
        )


@lru_cache(maxsize=4)
def shared_server(
    python: str | Path | None = None, gpu_device_id: int | None = None
) -> HabitatServer:
    """Return the server of this process for an interpreter and a device; it starts when used."""
    return HabitatServer(python, gpu_device_id)


class _ProcessEndedError(Exception):
    """The process ended during a request; the message contains the reason."""


class _NoAnswerError(Exception):
    """What the process sent is no answer; the message says what it is."""


def _printable(text: str) -> list[str]:
    """Return the lines of another process with their indentation, without control characters."""
    return [
        " " * min(len(line) - len(line.lstrip()), 16) + truncate(line, _LONGEST_LINE)
        for line in text.splitlines()
        if line.strip()
    ]


class _Process:
    """A running server and the socket to it."""

    def __init__(self, python: Path, gpu_device_id: int | None, timeout: float) -> None:
        self.python, self.owner, self._timeout = python, os.getpid(), timeout
        # Folders of this Python's packages must not shadow those of the other one.
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        device = "auto" if gpu_device_id is None else str(gpu_device_id)
        # The log has no name, and the socket's is deleted once both ends are open, so that no file
        # is left however this process ends: forked workers of multiprocessing run no finalizers.
        self._log = tempfile.TemporaryFile()
        with (
            tempfile.TemporaryDirectory(prefix="clipnav-habitat-") as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener,
        ):
            address = str(Path(folder) / "socket")
            listener.bind(address)
            listener.listen(1)
            self._child = subprocess.Popen(
                [python, "-u", SERVER, address, device],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=environment,
            )
            self._end = weakref.finalize(self, _end, self._child, self.owner)
            self._socket = self._accepted(listener)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request, which is complete before the timeout has passed."""
        end, line = time.monotonic() + self._timeout, bytearray()
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while not line.endswith(b"\n"):
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                part = self._socket.recv(_PART)
                if not part:
                    raise ConnectionError
                line += part
                if len(line) > _LONGEST_ANSWER:
                    raise _NoAnswerError(f"more than {_LONGEST_ANSWER} bytes")
        except ConnectionError:
            raise _ProcessEndedError(self._reason()) from None
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not answer.keys() & {"value", "error"}:
            start = line[:_LONGEST_LINE].decode("utf-8", "replace")
            raise _NoAnswerError(f"{truncate(start)}, which is no answer,")
        return answer

    def end(self) -> None:
        """End the process."""
        self._socket.close()
        self._end()
        self._log.close()

    def _accepted(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(_POLL_SECONDS)
        seconds = max(self._timeout, _START_SECONDS)
        end = time.monotonic() + seconds
        while self._child.poll() is None and time.monotonic() < end:
            with suppress(TimeoutError):
                return listener.accept()[0]
        has_ended = self._child.poll() is not None
        reason = self._reason() if has_ended else f"it did not connect within {seconds:g} s"
        self._end()
        raise HabitatProcessError(f"{self.python}: the server of habitat-sim ended: {reason}")

    def _reason(self) -> str:
        """Return why the process ended: its exit status and the end of its output."""
        try:
            status = self._child.wait(min(self._timeout, _END_SECONDS))
        except subprocess.TimeoutExpired:
            reason = "it closed the connection, but still runs"
        else:
            names = {number.value: number.name for number in signal.Signals}
            reason = f"exit status {status}"
            if status < 0:
                reason = f"signal {names.get(-status, -status)}"
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _LOG_END))
        lines = _printable(self._log.read(_LOG_END).decode("utf-8", "replace"))
        said = " | ".join(line.strip() for line in lines[-_LINES:])
        if "CUDA device" in said or "EGL" in said:
            said += "; give gpu_device_id=-1 for software rendering, or another device"
        elif "No module named" in said:
            said += f"; {_INSTALL}"
        return f"{reason}: {said}" if said else f"{reason}, without a message"


@contextmanager
def _shared_file(size: int) -> Iterator[Path]:
    """Yield a file of `size` bytes for both processes, in memory if it has enough room for it.

    The space is reserved, because a process that maps a file without space is ended by a signal
    (SIGBUS). Docker's containers have 64 MB of shared memory.
    """
    shared = [_SHARED_MEMORY] if os.access(_SHARED_MEMORY, os.W_OK) else []
    for folder in (*shared, None):
        with tempfile.TemporaryDirectory(prefix="clipnav-habitat-", dir=folder) as name:
            path = Path(name) / "pictures"
            try:
                _reserve(path, size)
            except OSError:
                if folder is None:
                    raise
                continue
            yield path
            return


def _reserve(path: Path, size: int) -> None:
    """Create a file of `size` bytes and reserve its space, if the file system supports that."""
    with path.open("wb") as file:
        file.truncate(size)
        try:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def _end(child: subprocess.Popen, owner: int) -> None:
    if os.getpid() != owner:
        return
    if child.poll() is None:
        child.kill()
    child.wait()


class Check(NamedTuple):
    """Result of one step.

    Attributes:
        name: What was checked.
        is_ok: Whether it works.
        text: Versions, or the reason and the remedy.
    """

    name: str
    is_ok: bool
    text: str


def check_habitat(
    python: str | Path | None = None, gpu_device_id: int | None = None
) -> Iterator[Check]:
    """Yield the results of the steps; the first one that fails is the last one."""
    try:
        path = habitat_python(python)
    except (ModuleNotFoundError, FileNotFoundError, UserError) as error:
        yield Check("Python", False, str(error))
        return
    yield Check("Python", True, str(path))
    with HabitatServer(path, gpu_device_id) as server:
        name = "habitat-sim"
        try:
            versions = server.call("versions")
            text = ", ".join(f"{package} {version}" for package, version in versions.items())
            text = truncate(text, _LONGEST_LINE)
            same = versions.get("habitat_sim") == "0.3.3"
            yield Check(name, True, text + " (the number that 0.3.4 reports too)" * same)
            name = "interface"
            if missing := server.call("missing"):
                names = truncate(", ".join(map(str, missing)), _LONGEST_LINE)
                raise UserError(f"this habitat-sim lacks {names}; install 0.2.2 to 0.3.4")
            yield Check(name, True, "complete")
            name = "drawing"
            server.call("probe")
            yield Check(name, True, "an empty scene was drawn")
        except (OSError, ValueError, ModuleNotFoundError, HabitatRequestError) as error:
            yield Check(name, False, str(error))
