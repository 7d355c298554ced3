"""Objects that environments share, and digests that identify the state of their files."""

import hashlib
import os
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

Shared = TypeVar("Shared")
FileStamp = tuple[str, int, int]


class SharedObjects(Generic[Shared]):
    """Objects by key, each kept only as long as something else uses it.

    Shared objects must not be changed.
    """

    def __init__(self) -> None:
        self._objects: WeakValueDictionary[Hashable, Shared] = WeakValueDictionary()

    def get(self, key: Hashable, make: Callable[[], Shared]) -> Shared:
        """Return the object of a key, which `make` builds if nothing uses one now.

        Args:
            key: Everything that the object depends on. It may contain the `id` of another object
                if the shared object refers to that object, which prevents reuse of the `id`.
        """
        known = self._objects.get(key)
        return self._objects.setdefault(key, make()) if known is None else known


def file_stamp(path: Path) -> FileStamp:
    """Return the path, modification time and size of a file, which identify its content."""
    status = path.stat()
    return os.path.abspath(path), status.st_mtime_ns, status.st_size


def files_digest(paths: Iterable[Path]) -> str:
    """Return 16 hexadecimal digits that change when a file or folder changes, or its path."""
    states = [f"{path.resolve()}: {path.exists() and path.stat().st_mtime_ns}" for path in paths]
    return hashlib.sha256("\n".join(states).encode()).hexdigest()[:16]
