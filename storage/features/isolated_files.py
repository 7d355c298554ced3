"""Read HDF5 and LMDB files in a child process, as their libraries crash or hang on damaged files.

The child process sends all keys, then one value at a time. If it dies or sends nothing for too
long, the reader raises an error that names the file. Type and shape of a data set of HDF5 are
checked before its values are read. Of LMDB files only the main database is read.

$ python -m clipnav.storage.features.isolated_files LIBRARY FILE   # command of the child process
"""

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn

import numpy as np

from clipnav.storage.bounds import ExpansionError, check_expansion
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.extras import check_extra
from clipnav.storage.features.view_grid import NUM_VIEWS

LMDB_DATA = "data.mdb"  # name of the file in a folder, which is LMDB's default
LMDB_METADATA = "__metadata__"
_PATIENCE = 60.0  # seconds; the child process is killed after twice as long without a message
_MEMORY = 4 << 30  # bytes that the child process may map in addition to its imports and the file
_WIDEST = 1 << 16  # maximum values per view
_MOST_OBJECTS = 1000  # at a viewpoint; REVERIE has up to 60, SOON 100
_KEYS_PER_MESSAGE = 500
_MODULES = {"HDF5": "h5py", "HDF5 objects": "h5py", "LMDB": "lmdb"}
# Exceptions that the libraries raise on damaged files, with lmdb.Error.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


class IsolatedFile:
    """Keys and values of a file that a child process reads.

    Attributes:
        keys: Names of the values; bytes that are not UTF-8 are lone surrogates.
        metadata: JSON text of the file's attribute or record with metadata; None if there is none.
    """

    def __init__(
        self, path: Path, library: Literal["HDF5", "HDF5 objects", "LMDB"], hint: str
    ) -> None:
        """Start the child process and read the keys."""
        _data_file(path).open("rb").close()  # errors of the system keep their types
        check_extra(_MODULES[library], "formats", f"{path}: reading {library}")
        self._path, self._library, self._hint = path, library, hint
        search_path = os.pathsep.join(folder for folder in sys.path if folder)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, library, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": search_path},
        )
        assert self._process.stdout is not None
        self._output: Any = self._process.stdout
        self._messages = 0
        self._is_waiting = False
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        self.keys: list[str] = []
        try:
            while "metadata" not in (message := self._receive()):
                self.keys += message["keys"]
        except BaseException:
            self.close()
            raise
        self.metadata: str | None = message["metadata"]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the value of each key, of LMDB as uint8; works only once."""
        return (value for value, _ in self.values())

    def values(self) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
        """Yield the value of each key with what else the child process sends; works only once."""
        try:
            for _ in self.keys:
                message = self._receive()
                data = self._read(lambda size=message["size"]: self._output.read(size))
                if len(data) < message["size"]:
                    self._raise_lost()
                yield np.frombuffer(data, message["dtype"]).reshape(message["shape"]), message
        finally:
            self.close()

    def close(self) -> None:
        """Kill the child process."""
        self._closed.set()
        self._process.kill()
        self._process.wait()
        self._output.close()

    def _read(self, read: Callable[[], bytes]) -> bytes:
        self._is_waiting = True
        data = read()
        self._is_waiting = False
        self._messages += 1
        return data

    def _receive(self) -> dict[str, Any]:
        line = self._read(self._output.readline)
        if not line.endswith(b"\n"):
            self._raise_lost()
        message = json.loads(line)
        if "error" in message:
            raise UserError(f"{self._path}: {message['error']}; {self._hint}")
        return message

    def _watch(self) -> None:
        """Kill the child process if an expected message does not arrive."""
        previous = None
        while not self._closed.wait(_PATIENCE):
            if self._is_waiting and self._messages == previous:
                self._process.kill()
            previous = self._messages

    def _raise_lost(self) -> NoReturn:
        raise UserError(
            f"{self._path}: damaged, as the {self._library} library crashed or did not respond "
            f"within {2 * _PATIENCE:g} s; {self._hint}"
        )


class _ContentError(UserError):
    """The content of a file is not as expected."""


def _send(library: str, path: Path, output: BinaryIO) -> None:
    """Write the content of a file: lines of JSON, and the bytes of each value after its line."""
    contents = _CONTENTS[library](path)
    if sys.platform == "linux":  # other systems lack this limit or do not enforce it
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _MEMORY + _data_file(path).stat().st_size
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or hard > most:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        for message in contents:
            value = message.pop("value", None)
            if value is not None:
                size = {"size": value.nbytes, "shape": value.shape, "dtype": value.dtype.str}
                message |= size
            output.write(json.dumps(message).encode() + b"\n")
            output.write(b"" if value is None else value.tobytes())
            output.flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        if not isinstance(error, _DAMAGE) and type(error).__module__ != "lmdb":
            raise
        damaged = f"damaged or not an {library} file ({truncate(str(error), 200)})"
        problem = str(error) if isinstance(error, _ContentError | ExpansionError) else damaged
        output.write(json.dumps({"error": problem}).encode() + b"\n")


def _hdf5_content(
    path: Path, read: Callable[[str, Any], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    import h5py

    with h5py.File(path) as opened:
        file: Any = opened  # h5py has no type annotations
        keys: list[str] = []
        count = 0  # bytes of all values; several names may be links to one data set
        for number, key in enumerate(file, 1):
            if isinstance(file.get(key, getlink=True), h5py.ExternalLink):
                raise _ContentError(f"{truncate(key)} is stored in another file")
            if isinstance(file[key], h5py.Dataset):
                keys.append(key)
                count += math.prod(file[key].shape or ()) * file[key].dtype.itemsize
            if number % _KEYS_PER_MESSAGE == 0:
                yield {"keys": []}  # shows that the library responds
        check_expansion(count, path.stat().st_size)
        yield {"keys": keys}
        recorded = file.attrs.get("metadata")
        if isinstance(recorded, bytes):  # a string of fixed length
            recorded = recorded.decode(errors="replace")
        yield {"metadata": recorded if isinstance(recorded, str) else None}
        for key in keys:
            yield read(truncate(key), file[key])


def _views(name: str, dataset: Any) -> dict[str, Any]:
    """Return the features of a viewpoint's views."""
    _check_data_set(name, dataset)
    return {"value": np.ascontiguousarray(dataset[...])}


def _objects(name: str, dataset: Any) -> dict[str, Any]:
    """Return n objects in rows: heading, elevation, four numbers of the box, and the features.

    The box is `sizes` (width, height, 0, 0) or `bboxes` (left, top, right, bottom), as the message
    says; it also contains the ids.
    """
    _check_data_set(name, dataset, None)
    count, attributes = len(dataset), dataset.attrs
    boxes = "sizes" if "sizes" in attributes else "bboxes"
    table = np.zeros((count, 6), np.float32)
    for attribute, columns in (("directions", 2), (boxes, 2 if boxes == "sizes" else 4)):
        values = np.asarray(attributes.get(attribute, ()))
        if values.shape != (count, columns) or values.dtype.kind not in "fiu":
            raise _ContentError(
                f"attribute {attribute} of {name} has shape {values.shape}, not {(count, columns)}"
            )
        first = 0 if attribute == "directions" else 2
        table[:, first : first + columns] = values
    ids = np.asarray(attributes.get("obj_ids", ()))
    if ids.shape != (count,):
        raise _ContentError(f"attribute obj_ids of {name} has shape {ids.shape}, not ({count},)")
    texts = [one.decode() if isinstance(one, bytes) else str(one) for one in ids.tolist()]
    value = np.column_stack([table, np.asarray(dataset[...], np.float32)])
    return {"value": np.ascontiguousarray(value), "ids": texts, "boxes": boxes}


def _check_data_set(name: str, dataset: Any, rows: int | None = NUM_VIEWS) -> None:
    """Check type, shape and storage of a data set before it is read.

    Args:
        rows: Number of its rows; None for any number up to `_MOST_OBJECTS`.
    """
    if dataset.external or dataset.is_virtual:
        raise _ContentError(f"the values of {name} are stored in another file")
    if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
        raise _ContentError(f"{name} contains {dataset.dtype}, not floating-point numbers")
    shape, chunks = dataset.shape, dataset.chunks or ()
    fits = (
        shape is not None
        and len(shape) == 2
        and 0 < shape[1] <= _WIDEST
        and (shape[0] == rows if rows else shape[0] <= _MOST_OBJECTS)
    )
    if not fits:
        raise _ContentError(f"features of {name} have shape {shape}, not ({rows or 'n'}, width)")
    if np.prod(chunks, dtype=object) > NUM_VIEWS * _WIDEST:
        raise _ContentError(f"{name} is stored in chunks of {chunks} values")


def _lmdb_content(path: Path) -> Iterator[dict[str, Any]]:
    import lmdb

    size = _data_file(path).stat().st_size
    options: dict[str, Any] = {"subdir": path.is_dir(), "readonly": True, "lock": False}
    with lmdb.open(str(path), **options) as environment, environment.begin() as transaction:
        # LMDB reads zeros from the missing part of an incomplete page.
        if size % environment.stat()["psize"]:
            raise _ContentError(f"truncated, {size:,} bytes are not a whole number of pages")
        cursor, keys = transaction.cursor(), []
        for key in _bounded(cursor.iternext(values=False), size):
            keys.append(key.decode("utf-8", "surrogateescape"))
            if len(keys) == _KEYS_PER_MESSAGE:
                yield {"keys": keys}
                keys = []
        yield {"keys": keys}
        recorded = transaction.get(LMDB_METADATA.encode())
        yield {"metadata": None if recorded is None else recorded.decode(errors="replace")}
        for value in _bounded(cursor.iternext(keys=False), size):
            yield {"value": np.frombuffer(value, np.uint8)}


_CONTENTS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    "HDF5": partial(_hdf5_content, read=_views),
    "HDF5 objects": partial(_hdf5_content, read=_objects),
    "LMDB": _lmdb_content,
}


def _bounded(items: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Refuse a damaged tree that refers to the same pages again and again."""
    for item in items:
        size -= len(item)
        if size < 0:
            raise _ContentError("damaged LMDB file, several entries share the same pages")
        yield item


def _data_file(path: Path) -> Path:
    return path / LMDB_DATA if path.is_dir() else path


if __name__ == "__main__":
    try:
        _send(sys.argv[1], Path(sys.argv[2]), sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)  # the reader is gone; a normal exit would fail to flush the output
