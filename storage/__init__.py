"""Files on disk: atomic writes, appending, digests and the cache folder."""

import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from clipnav.storage.errors import UserError

# Errors of a full disk, an exhausted quota, a file size limit or a failing disk.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_UNWRITABLE = (*_FULL, errno.EROFS, errno.EACCES, errno.ENOENT)


_INITIAL_NAMESPACE = "4026531836"  # PROC_PID_INIT_INO of Linux, outside containers
try:
    _namespace = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
except OSError:  # not on Linux
    _namespace = _INITIAL_NAMESPACE
# What process ids are unique in: the host, or a container on it. Containers with the network of the
# host have its name, too, but their own process ids.
_SPACE = socket.gethostname() + ("" if _namespace == _INITIAL_NAMESPACE else f"-{_namespace}")
_TEMPORARY = re.compile(rf"\.{re.escape(_SPACE)}-(\d+)\.writing(\.[^.]*)?$")

# Unfinished files of this process; `remove_unfinished` deletes them when it is terminated.
_unfinished: set[Path] = set()


class UnwritableError(OSError):
    """A file could not be written; the message names the file and the reason."""


@contextmanager
def atomic_write(path: str | Path, *, to_disk: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to, and move it to `path` when the block ends.

    The temporary file is in the same folder with the same suffix, and its name contains host and
    process id, so that several processes can write the same file. The folder is created if it is
    missing. After an error `path` is unchanged and the temporary file is deleted. Temporary files
    of killed processes in the folder are deleted, too. Write the bytes of `safetensors.*.save`:
    `save_file` has a temporary file of its own, which stays if the process is killed.

    Args:
        to_disk: Wait until the content is on the disk. Without it, some file systems (XFS) can
            leave an empty file after a power failure, even if there was one before.
    """
    path = Path(path)
    if path.is_dir():  # os.replace would fail later, and name the temporary file
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent.resolve())
    beside = temporary_path(path)
    _unfinished.add(beside)
    try:
        beside.touch()
        default_mode = beside.stat().st_mode
        yield beside
        if to_disk:
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        beside.chmod(default_mode)  # safetensors creates files that only their owner may read
        os.replace(beside, path)
    except Exception as error:
        if reason := unwritable_reason(error, beside):
            state = "is unchanged" if path.exists() else "was not created"
            raise UnwritableError(
                f"{path}: cannot be written ({reason}); the file {state}"
            ) from error
        raise
    finally:
        # A read-only file system refuses to delete even a file that is not there.
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        _unfinished.discard(beside)


def temporary_path(path: Path) -> Path:
    """Return where this process writes a file or folder, before it is moved to its path.

    `remove_abandoned` deletes it if the process is killed.
    """
    return path.with_name(f"{path.stem}.{_SPACE}-{os.getpid()}.writing{path.suffix}")


def is_temporary(name: str) -> bool:
    """Return whether a file name is that of a `temporary_path` of this host or container."""
    return _TEMPORARY.search(name) is not None


def remove_unfinished() -> None:
    """Delete the temporary files of `atomic_write` before this process is terminated."""
    for beside in tuple(_unfinished):
        # Windows refuses to delete an open file; the next process that writes there deletes it.
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def unwritable_reason(error: BaseException, written: Path) -> str | None:
    """Return why a file could not be written, or None if an error has another cause.

    Libraries in C++ or Rust raise their own exceptions, which contain the system's message.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnwritableError):
            return None  # about another file, which its message names
        is_other_file = getattr(cause, "filename", None) not in (None, str(written), written)
        if isinstance(cause, OSError) and cause.errno in _UNWRITABLE and not is_other_file:
            is_refused = sys.platform == "win32" and cause.errno == errno.EACCES
            other = "; close it in other programs and runs" if is_refused else ""
            return os.strerror(cause.errno) + other
        for number in _FULL:
            if os.strerror(number) in str(cause) and not is_other_file:
                return os.strerror(number)
        if re.fullmatch(r"\d+ requested and \d+ written", str(cause)):  # numpy
            return "no space left"
        cause = cause.__cause__ or cause.__context__
    return None


@cache  # once per folder, as it lists the whole folder
def remove_abandoned(folder: Path) -> None:
    """Delete what killed processes of this host or container left at a `temporary_path`."""
    for name in os.listdir(folder):
        match = _TEMPORARY.search(name)
        if match and not _is_running(int(match[1])):
            left = folder / name
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):  # in a shared folder, it may belong to another user
                    left.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    if sys.platform == "win32":
        return _is_running_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the process of another user
        return True
    return True


def _is_running_on_windows(pid: int) -> bool:
    # os.kill(pid, 0) would send Ctrl-C there.
    import _winapi  # type: ignore[import-not-found]

    windows: Any = _winapi
    try:
        process = windows.OpenProcess(windows.SYNCHRONIZE, False, pid)
    except PermissionError:  # the process of another user
        return True
    except OSError:
        return False
    try:
        return windows.WaitForSingleObject(process, 0) == windows.WAIT_TIMEOUT
    finally:
        windows.CloseHandle(process)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8 atomically, with the same line ends on every system."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read it.

    A folder from someone else can contain links to private files, and pipes and devices, which
    never end.
    """
    kind = "a link"
    if not path.is_symlink():
        # O_NONBLOCK, as opening a pipe would wait for a writer. Windows has only the last flag.
        flags = ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
        number = os.open(path, sum(getattr(os, flag, 0) for flag in flags))
        if stat.S_ISREG(os.fstat(number).st_mode):
            return open(number, "rb")
        os.close(number)
        kind = "not a regular file"
    raise UserError(f"{path}: {kind}; replace it by the file itself, or delete it")


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_dir() -> Path:
    """Return the cache folder: `$CLIPNAV_CACHE`, else ~/.cache/clipnav."""
    folder = os.environ.get("CLIPNAV_CACHE") or os.path.expanduser("~/.cache/clipnav")
    if folder == "~/.cache/clipnav":
        raise UserError("your home folder is unknown; set HOME, or CLIPNAV_CACHE for the cache")
    return Path(folder)


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file, or restore it after an error."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[file.write(remaining) :]
        except OSError as error:
            os.ftruncate(file.fileno(), size)
            reason = unwritable_reason(error, path)
            if reason is None:
                raise
            raise UnwritableError(f"{path}: cannot be written ({reason})") from error
