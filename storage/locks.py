"""One writer per output: locks that name their holder and free themselves when it dies.

A lock is a file beside the output (`NAME.lock`), or `.lock` inside an output folder. The operating
system holds it (flock), so that it is free again the moment its process ends, however it ends. On
file systems without flock the library filelock checks the process id that the file names instead.
"""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

_POLL_SECONDS = 0.2
_LOOKS = 5  # for the name of a holder


class OutputInUseError(OSError):
    """Another process is writing an output; the message names the output and the process."""


class OutputLock:
    """The right to write an output.

    Several of one output exclude other processes, not each other.

    Args:
        output: The file, or a folder that exists.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self._path = lock_path(output)
        self._lock = FileLock(self._path, is_singleton=True, thread_local=False)
        self._is_held = False

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            OutputInUseError: Another process has it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OutputInUseError(
                f"{self.output}: {_holder(self._path)} is writing it; wait until that process has "
                f"ended, or choose another output{_remedy(self._path)}"
            ) from None
        self._is_held = True
        _note_holder(self._path, self._lock)

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._is_held:
            self._is_held = False
            _release(self._path, self._lock)


@contextlib.contextmanager
def sole_writer(*outputs: Path) -> Iterator[None]:
    """Hold the locks of some outputs within a block.

    Args:
        outputs: Files, or folders that exist.

    Raises:
        OutputInUseError: Another process has one of them.
    """
    with contextlib.ExitStack() as stack:
        # In one order, so that of two processes with common outputs one gets them all.
        for output in sorted(set(outputs)):
            lock = OutputLock(output)
            lock.acquire()
            stack.callback(lock.release)
        yield


@contextlib.contextmanager
def sole_maker(entry: Path) -> Iterator[None]:
    """Hold the lock of something shared, such as an entry of the cache, within a block.

    Waits while another process or thread holds it, and prints for which process. The caller then
    looks whether there is still something to do.

    Args:
        entry: The file, or a folder that exists.
    """
    path = lock_path(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the lock of the whole process: its threads exclude each other, too.
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if _read_holder(path)[0] != str(os.getpid()):
            tqdm.write(
                f"{entry}: waiting for {_holder(path)}, which is making it{_remedy(path)}",
                sys.stderr,
            )
        lock.acquire(timeout=-1, poll_interval=_POLL_SECONDS)
    _note_holder(path, lock)
    try:
        yield
    finally:
        _release(path, lock)


def lock_path(output: Path) -> Path:
    """Where the lock of a file, or of a folder that exists, lies."""
    output = output.resolve()
    return output / ".lock" if output.is_dir() else output.with_name(output.name + ".lock")


def _is_marker(lock: FileLock) -> bool:
    """Whether flock is missing here, so that the file itself is the lock, with filelock's text."""
    return hasattr(lock, "pid")


def _note_holder(path: Path, lock: FileLock) -> None:
    """Write who holds a lock into its file, in the form of filelock's own markers."""
    if lock.lock_counter > 1 or _is_marker(lock):
        return
    # On a full disk nothing is noted, and whoever comes next is refused by "another process".
    with contextlib.suppress(OSError):
        path.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")


def _release(path: Path, lock: FileLock) -> None:
    if lock.lock_counter == 1 and not _is_marker(lock):
        # While it is held: who waits looks whether what it opened still has a name.
        path.unlink(missing_ok=True)
    lock.release()


def _read_holder(path: Path) -> tuple[str | None, str]:
    """Process id and host of who holds a lock; no id where the file does not say."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # its holder has just gone
        lines = []
    if len(lines) < 2:
        return None, socket.gethostname()
    return lines[0], lines[1]


def _holder(path: Path) -> str:
    """The process that holds a lock, as far as its file says: id, host and when it began."""
    for _ in range(_LOOKS):
        pid, host = _read_holder(path)
        if pid is not None:
            break
        time.sleep(_POLL_SECONDS)  # it has just taken the lock, and is about to note itself
    else:
        return "another process"
    since = ""
    with contextlib.suppress(OSError):
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
        since = f", since {began}"
    return f"process {pid} (on {host}{since})"


def _remedy(path: Path) -> str:
    """What to do about a lock whose holder lives on another host, where nobody can check on it."""
    _, host = _read_holder(path)
    if host == socket.gethostname():
        return ""
    return f"; if that process has ended and this message stays, delete {path}"
