"""Reading HDF5 files of features in a process of its own.

The HDF5 library may crash on a damaged file, or never return. Here it runs in a child process that
sends one data set after another; when that process dies or is silent for too long, the reader gets
an error that names the file. What a data set declares is checked before anything of it is read.

$ python -m storage.features.hdf5_rows FILE   # what the child process runs
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

from storage.features.view_grid import NUM_VIEWS
from storage.messages import shortened

_PATIENCE = 60.0  # seconds; without a message for twice as long the child process is ended
_MEMORY = 4 << 30  # bytes that the child process may map besides what its imports take
_WIDEST = 1 << 16  # numbers that describe a view, at most
_KEYS_PER_SIGN = 500  # the child process gives a sign of life after so many keys
_REMEDY = "fetch the file again"
# What damaged files make h5py raise.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


class Hdf5Rows:
    """The data sets (36, D) of a file, read in a child process.

    Attributes:
        keys: Their names.
        metadata: JSON text that the file has as attribute `metadata`; None if there is none.
    """

    def __init__(self, path: Path) -> None:
        """Start the child process and read the names.

        Raises:
            ValueError: The file is no HDF5 file, or damaged.
        """
        self._path = path
        places = os.pathsep.join(place for place in sys.path if place)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": places},
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
        """Features of each key; may be asked for once.

        Raises:
            ValueError: A data set is damaged or does not hold features; names it.
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
        """End the child process."""
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
            raise ValueError(f"{self._path}: {message['error']}; {_REMEDY}")
        return message

    def _watch(self) -> None:
        """End a child process from which no message comes while one is waited for."""
        before = None
        while not self._closed.wait(_PATIENCE):
            if self._is_waiting and self._messages == before:
                self._process.kill()
            before = self._messages

    def _fill(self, target: memoryview) -> None:
        while target:
            count = self._output.readinto(target)  # type: ignore[attr-defined]
            if not count:
                self._raise_lost()
            target = target[count:]

    def _raise_lost(self) -> NoReturn:
        raise ValueError(
            f"{self._path}: the HDF5 library ended or gave no answer within {2 * _PATIENCE:g} s, "
            f"so that the file is taken to be damaged; {_REMEDY}"
        )


class _UnfitError(ValueError):
    """A file is sound but does not hold features as expected."""


def _send(path: str, output: BinaryIO) -> None:
    """Send a file: messages are lines of JSON, and those of rows are followed by the numbers."""
    import h5py

    _limit_memory()

    def say(**message: Any) -> None:
        output.write(json.dumps(message).encode() + b"\n")
        output.flush()

    try:
        with h5py.File(path) as opened:
            file: Any = opened  # whose types h5py cannot tell
            keys = _data_sets(file, say)
            recorded = file.attrs.get("metadata")
            if isinstance(recorded, bytes):  # a text of fixed length
                recorded = recorded.decode(errors="replace")
            say(keys=keys)
            say(metadata=recorded if isinstance(recorded, str) else None)
            for key in keys:
                _check(key, file[key])
                row = np.ascontiguousarray(file[key][...])
                say(shape=row.shape, dtype=row.dtype.str)
                output.write(row.data)
    except BrokenPipeError:
        raise
    except _UnfitError as error:
        say(error=str(error))
    except _DAMAGE as error:
        say(error=f"no HDF5 file, or damaged ({shortened(str(error), 200)})")


def _data_sets(file: Any, say: Callable[..., None]) -> list[str]:
    """Names of the data sets of a file."""
    import h5py

    keys = []
    for number, key in enumerate(file, 1):
        if isinstance(file.get(key, getlink=True), h5py.ExternalLink):
            raise _UnfitError(f"{shortened(key)} lies in another file")
        if isinstance(file[key], h5py.Dataset):
            keys.append(key)
        if number % _KEYS_PER_SIGN == 0:
            say(keys=[])
    return keys


def _check(key: str, dataset: Any) -> None:
    """Check that a data set is what it should be before it is read.

    Raises:
        _UnfitError: It is not.
    """
    name = shortened(key)
    if dataset.external or dataset.is_virtual:
        raise _UnfitError(f"the numbers of {name} lie in another file")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise _UnfitError(f"{name} holds {dataset.dtype}, not floating-point numbers")
    shape, chunks = dataset.shape, dataset.chunks or ()
    if shape is None or len(shape) != 2 or shape[0] != NUM_VIEWS or not 0 < shape[1] <= _WIDEST:
        raise _UnfitError(f"features of {name} have shape {shape}, not ({NUM_VIEWS}, width)")
    if np.prod(chunks, dtype=object) > NUM_VIEWS * _WIDEST:
        raise _UnfitError(f"{name} is stored in pieces of {chunks} numbers")


def _limit_memory() -> None:
    if sys.platform != "linux":  # others have no such limit, or do not keep it
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
        os._exit(1)  # nobody reads any more; nothing is left to be flushed
