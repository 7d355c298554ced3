"""Files as on Windows, which neither moves nor deletes a file that is open or memory-mapped."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch


@contextmanager
def windows_files() -> Iterator[None]:
    """Let this process move and delete files as on Windows; requires /proc.

    Locks are deleted as filelock does it here. A folder is moved only to a name that is free.
    """
    replace, rename, unlink = os.replace, os.rename, os.unlink

    def move(source: Any, target: Any, by: Callable[..., None]) -> None:
        if _is_used(source) or _is_used(target) or Path(target).is_dir():
            raise PermissionError(errno.EACCES, "Access is denied", source, None, target)
        by(source, target)

    def delete(path: Any, dir_fd: int | None = None) -> None:
        # shutil.rmtree gives a descriptor of the folder.
        whole = path if dir_fd is None else Path(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
        of_filelock = dir_fd is None and str(path).endswith(".lock")
        if _is_used(whole) and not of_filelock:
            raise PermissionError(errno.EACCES, "The file is used by another process", path)
        unlink(path, dir_fd=dir_fd)

    with (
        patch.object(os, "replace", lambda source, target: move(source, target, replace)),
        patch.object(os, "rename", lambda source, target: move(source, target, rename)),
        patch.object(os, "unlink", delete),
    ):
        yield


def _is_used(path: Any) -> bool:
    path = os.path.realpath(path)
    return any(used == path or used.startswith(path + os.sep) for used in _used_files())


def _used_files() -> set[str]:
    """Return the files that this process has opened or mapped."""
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    used = {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            name = os.readlink(f"/proc/self/fd/{number}")
            used |= {name} if os.path.isfile(name) else set()
    return used
