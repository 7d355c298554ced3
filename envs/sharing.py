"""Objects that the environments of one process share, so that each file is loaded only once."""

from collections.abc import Callable, Hashable
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
            make: Function that builds the object.
        """
        known = self._objects.get(key)
        return self._objects.setdefault(key, make()) if known is None else known


def file_stamp(path: Path) -> FileStamp:
    """Return the path, modification time and size of a file, which identify its content.

    Raises:
        FileNotFoundError: The file does not exist.
    """
    status = path.stat()
    return str(path.resolve()), status.st_mtime_ns, status.st_size
