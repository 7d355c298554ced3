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
        _refuse_used(source)
        _refuse_used(target)
        if Path(target).is_dir():
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        by(source, target)

    def delete(path: Any, dir_fd: int | None = None) -> None:
        if dir_fd is not None:  # of shutil.rmtree
            _refuse_used(Path(os.readlink(f"/proc/self/fd/{dir_fd}"), path))
        elif not str(path).endswith(".lock"):
            _refuse_used(path)
        unlink(path, dir_fd=dir_fd)

    with (
        patch.object(os, "replace", lambda source, target: move(source, target, replace)),
        patch.object(os, "rename", lambda source, target: move(source, target, rename)),
        patch.object(os, "unlink", delete),
    ):
        yield


def _refuse_used(path: Any) -> None:
    path = os.path.realpath(path)
    if any(used == path or used.startswith(path + os.sep) for used in _used_files()):
        raise PermissionError(
            errno.EACCES, "The process cannot access the file, because it is in use", path
        )


def _used_files() -> set[str]:
    """Return the files that this process has opened or mapped."""
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    used = {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            name = os.readlink(f"/proc/self/fd/{number}")
            used |= {name} if os.path.isfile(name) else set()
    return used
