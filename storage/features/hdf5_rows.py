"""Read HDF5 feature files in a child process.

The HDF5 library can crash or hang on a damaged file. Here it runs in a child process that sends one
data set at a time. If that process dies or sends nothing for too long, the reader raises an error
that names the file. Type and shape of a data set are checked before its values are read.

$ python -m clipnav.storage.features.hdf5_rows FILE   # the command of the child process
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np

from clipnav.storage.errors import UserError, shortened
from clipnav.storage.extras import check_extra
from clipnav.storage.features.view_grid import NUM_VIEWS

_PATIENCE = 60.0  # seconds; the child process is killed after twice as long without a message
_MEMORY = 4 << 30  # bytes that the child process may map in addition to its imports
_WIDEST = 1 << 16  # maximum values per view
_KEYS_PER_MESSAGE = 500  # the child process sends a keep-alive message after so many keys
_REMEDY = "download the file again"
# Exceptions that h5py raises on damaged files.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


class Hdf5Rows:
    """Data sets (36, D) of a file, read in a child process.

    Attributes:
        keys: Names of the data sets.
        metadata: JSON text of the file's attribute `metadata`; None if there is none.
    """

    def __init__(self, path: Path) -> None:
        """Start the child process and read the names.

        Raises:
            ModuleNotFoundError: h5py is not installed.
            UserError: The file is damaged or not an HDF5 file.
        """
        check_extra("h5py", "formats", f"{path}: reading HDF5")
        self._path = path
        search_path = os.pathsep.join(folder for folder in sys.path if folder)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search_path},
        )
        self._messages = 0
        self._is_waiting = False
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        self.keys: list[str] = []
        try:
            message = self._receive()
            while "metadata" not in message:
                self.keys += message["keys"]
                message = self._receive()
        except BaseException:
            self.close()
            raise
        self.metadata: str | None = message["metadata"]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the features of each key; works only once.

        Raises:
            UserError: A data set is damaged or does not contain features; the message names it.
        """
        try:
            for _ in self.keys:
                message = self._receive()
                row = np.empty(message["shape"], message["dtype"])
                self._fill(row.data.cast("B"))
                yield row
        finally:
            self.close()

    def close(self) -> None:
        """Kill the child process."""
        self._closed.set()
        self._process.kill()
        self._process.wait()
        self._output.close()

    @property
    def _output(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    def _receive(self) -> dict[str, Any]:
        self._is_waiting = True
        line = self._output.readline()
        self._is_waiting = False
        self._messages += 1
        if not line.endswith(b"\n"):
            self._raise_lost()
        message = json.loads(line)
        if "error" in message:
            raise UserError(f"{self._path}: {message['error']}; {_REMEDY}")
        return message

    def _watch(self) -> None:
        """Kill the child process if an expected message does not arrive."""
        previous = None
        while not self._closed.wait(_PATIENCE):
            if self._is_waiting and self._messages == previous:
                self._process.kill()
            previous = self._messages

    def _fill(self, target: memoryview) -> None:
        while target:
            count = self._output.readinto(target)  # type: ignore[attr-defined]
            if not count:
                self._raise_lost()
            target = target[count:]

    def _raise_lost(self) -> NoReturn:
        raise UserError(
            f"{self._path}: damaged, as the HDF5 library crashed or did not respond within "
            f"{2 * _PATIENCE:g} s; {_REMEDY}"
        )


class _ContentError(UserError):
    """A file is intact but does not contain features as expected."""


def _send(path: str, output: BinaryIO) -> None:
    """Write the content of a file: messages are lines of JSON, then come the values of the row."""
    import h5py

    _limit_memory()

    def send_message(**message: Any) -> None:
        output.write(json.dumps(message).encode() + b"\n")
        output.flush()

    try:
        with h5py.File(path) as opened:
            file: Any = opened  # h5py has no type annotations
            keys = _data_sets(file, send_message)
            recorded = file.attrs.get("metadata")
            if isinstance(recorded, bytes):  # a string of fixed length
                recorded = recorded.decode(errors="replace")
            send_message(keys=keys)
            send_message(metadata=recorded if isinstance(recorded, str) else None)
            for key in keys:
                _check(key, file[key])
                row = np.ascontiguousarray(file[key][...])
                send_message(shape=row.shape, dtype=row.dtype.str)
                output.write(row.data)
    except BrokenPipeError:
        raise
    except _ContentError as error:
        send_message(error=str(error))
    except _DAMAGE as error:
        send_message(error=f"damaged or not an HDF5 file ({shortened(str(error), 200)})")


def _data_sets(file: Any, send_message: Callable[..., None]) -> list[str]:
    """Return the names of the data sets of a file."""
    import h5py

    keys = []
    for number, key in enumerate(file, 1):
        if isinstance(file.get(key, getlink=True), h5py.ExternalLink):
            raise _ContentError(f"{shortened(key)} is stored in another file")
        if isinstance(file[key], h5py.Dataset):
            keys.append(key)
        if number % _KEYS_PER_MESSAGE == 0:
            send_message(keys=[])
    return keys


def _check(key: str, dataset: Any) -> None:
    """Check type, shape and storage of a data set before it is read.

    Raises:
        _ContentError: The data set cannot be features.
    """
    name = shortened(key)
    if dataset.external or dataset.is_virtual:
        raise _ContentError(f"the values of {name} are stored in another file")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise _ContentError(f"{name} contains {dataset.dtype}, not floating-point numbers")
    shape, chunks = dataset.shape, dataset.chunks or ()
    if shape is None or len(shape) != 2 or shape[0] != NUM_VIEWS or not 0 < shape[1] <= _WIDEST:
        raise _ContentError(f"features of {name} have shape {shape}, not ({NUM_VIEWS}, width)")
    if np.prod(chunks, dtype=object) > NUM_VIEWS * _WIDEST:
        raise _ContentError(f"{name} is stored in chunks of {chunks} values")


def _limit_memory() -> None:
    if sys.platform != "linux":  # other systems lack this limit or do not enforce it
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + _MEMORY
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    try:
        _send(sys.argv[1], sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)  # the reader is gone; a normal exit would fail to flush the output
