"""Locks that give each output one writer, name their holder and end with its process.

A lock is a file beside the output (`NAME.lock`), or `.lock` inside an output folder. It is locked
with flock, so the operating system releases it when its process ends for any reason. On file
systems without flock, the library filelock checks the process id that the file contains instead.
On Windows, other processes cannot read a locked file; error messages there say "another process"
instead of naming the holder.
"""

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

_POLL_SECONDS = 0.2
_READ_ATTEMPTS = 5  # until a new holder has recorded itself


class OutputInUseError(OSError):
    """Another process is writing an output; the message names the output and the process."""


class OutputLock:
    """Lock of an output, which gives this process the exclusive right to write it.

    Several locks of one output exclude other processes, but not each other.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self._path = lock_path(output)
        self._lock = FileLock(self._path, is_singleton=True, thread_local=False)
        self._is_held = False

    def acquire(self) -> None:
        """Acquire the lock."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _refusing_without_locks(self._path):
                self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputInUseError(
                f"{self.output}: {_describe_holder(self._path)} is writing it; wait until that "
                f"process ends, or choose another output{_hint(self._path)}"
            ) from None
        self._is_held = True
        _record_holder(self._path, self._lock)

    def release(self) -> None:
        """Release the lock if it is held."""
        if self._is_held:
            self._is_held = False
            _release(self._path, self._lock)


@contextlib.contextmanager
def exclusive_lock(*outputs: Path) -> Iterator[None]:
    """Hold the locks of outputs within a block."""
    with contextlib.ExitStack() as stack:
        # Sorted, so that of two processes with common outputs one acquires all of them.
        for output in sorted(set(outputs)):
            lock = OutputLock(output)
            lock.acquire()
            stack.callback(lock.release)
        yield


@contextlib.contextmanager
def waiting_lock(entry: Path) -> Iterator[None]:
    """Hold the lock of a shared file, such as a cache entry, within a block.

    Wait while another process or thread holds the lock, and print which process it is. The caller
    checks inside the block whether the file still has to be made.
    """
    path = lock_path(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not a singleton per process, so that threads exclude each other, too.
    lock = FileLock(path, thread_local=False)
    try:
        with _refusing_without_locks(path):
            lock.acquire(timeout=0)
    except Timeout:
        if _read_holder(path)[0] != str(os.getpid()):
            tqdm.write(
                f"{entry}: waiting for {_describe_holder(path)}, which is making it{_hint(path)}",
                sys.stderr,
            )
        lock.acquire(timeout=-1, poll_interval=_POLL_SECONDS)
    _record_holder(path, lock)
    try:
        yield
    finally:
        _release(path, lock)


def lock_path(output: Path) -> Path:
    """Return the path of the lock of a file or of an existing folder."""
    output = output.resolve()
    return output / ".lock" if output.is_dir() else output.with_name(output.name + ".lock")


@contextlib.contextmanager
def _refusing_without_locks(path: Path) -> Iterator[None]:
    """Name the file and the remedy if its file system refuses locks, as NFS without lockd does."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise
        raise OSError(
            f"{path}: its file system gives no locks ({error.strerror}); write to a local disk, or "
            "mount this one with the option local_lock=flock"
        ) from error


def _is_marker(lock: FileLock) -> bool:
    """Return whether flock is unavailable, so that filelock uses the existence of the file."""
    return hasattr(lock, "pid")


def _record_holder(path: Path, lock: FileLock) -> None:
    """Write the holder into the file of a lock, in the format of filelock."""
    if lock.lock_counter > 1 or _is_marker(lock):
        return
    # On a full disk the holder is not recorded, and messages name "another process".
    with contextlib.suppress(OSError):
        path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")


def _release(path: Path, lock: FileLock) -> None:
    if lock.lock_counter == 1 and not _is_marker(lock):
        # Before the release: waiting processes check that the file they opened still exists.
        # Windows refuses to delete an open file; there filelock deletes it after the release.
        with contextlib.suppress(PermissionError):
            path.unlink(missing_ok=True)
    lock.release()


def _read_holder(path: Path) -> tuple[str | None, str]:
    """Return process id and host of a lock's holder; the id is None if it is not recorded."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # the holder has just released it
        lines = []
    if len(lines) < 2:
        return None, socket.gethostname()
    return lines[0], lines[1]


def _describe_holder(path: Path) -> str:
    """Return id, host and start time of the process that holds a lock, if they are recorded."""
    for _ in range(_READ_ATTEMPTS):
        pid, host = _read_holder(path)
        if pid is not None:
            break
        time.sleep(_POLL_SECONDS)  # the holder may not have recorded itself yet
    else:
        return "another process"
    since = ""
    with contextlib.suppress(OSError):
        start = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
        since = f", since {start}"
    return f"process {pid} (on {host}{since})"


def _hint(path: Path) -> str:
    """Return what to do about a lock of another host, whose processes cannot be checked here."""
    _, host = _read_holder(path)
    if host == socket.gethostname():
        return ""
    return f"; if that process has ended and this message persists, delete {path}"
