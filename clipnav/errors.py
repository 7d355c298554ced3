"""One-line error messages of commands, instead of tracebacks.

Ctrl-C and SIGTERM end a command with a message and exit status 130.
"""

import errno
import io
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeGuard

from clipnav.storage.errors import UserError, in_one_line

# Remedies for errors of the operating system, whose own text names none.
_HINTS: dict[type[OSError], str] = {
    FileNotFoundError: "no such file or folder; check its name",
    IsADirectoryError: "is a folder; name a file",
    NotADirectoryError: "its parent is a file; name a folder that exists or can be created",
    FileExistsError: "is a file; name a folder",
    PermissionError: "permission denied; change its permissions, or name another path",
}

_HINTS_BY_NUMBER = {
    errno.EROFS: "is on a read-only file system; name another path",
    errno.ENOSPC: "no space is left on its disk; make room, or name another path",
}

_REQUESTS = (signal.SIGINT, signal.SIGTERM)
_HAS_ALARM = hasattr(signal, "SIGALRM")  # not on Windows
_MOMENT = 0.01  # seconds
_CONSOLE = ("clipnav", "clipnav.exe", "clipnav-script.py")
_STOPPED = 130  # exit status, as shells have it for Ctrl-C
_NOT_STARTED = "Stopped before anything was written."
_STOPPED_SAFELY = "Stopped. All written files are complete."


@contextmanager
def friendly_errors(continuing: str = "") -> Iterator[None]:
    """Print the message of an error that the user can correct, and exit.

    All other errors are errors of the program and keep their traceback.

    With CLIPNAV_TRACEBACK=1 in the environment, errors keep their traceback. If the reader of the
    output has closed the pipe, the program exits silently.

    Ctrl-C and SIGTERM end worker processes, then print the message of the KeyboardInterrupt, which
    states what is kept. Training handles these signals itself.
    """
    requests = _Requests()
    with requests.handled():
        try:
            output = sys.stdout
            if isinstance(output, io.TextIOWrapper) and output.errors == "strict":
                # Characters that the encoding of the output lacks (cp1252 on Windows).
                output.reconfigure(errors="backslashreplace")
            with _output_flushed():
                yield
        except BaseException as error:
            if requests.received or isinstance(error, KeyboardInterrupt):
                _stop(error, continuing)
            # Training handles signals itself and raises a subclass of SystemExit.
            if isinstance(error, SystemExit) and type(error) is not SystemExit:
                print(error, file=sys.stderr)
                sys.exit(_STOPPED)
            if not _is_expected(error):
                raise
            if _reader_has_gone(error):
                sys.exit(1)
            if os.environ.get("CLIPNAV_TRACEBACK"):
                raise
            more = "" if _says_all(error) else "\n(CLIPNAV_TRACEBACK=1 shows the traceback)"
            sys.exit(f"{_message(error)}{more}")


@contextmanager
def _output_flushed() -> Iterator[None]:
    """Flush the output of a command that succeeds: Python itself would print an error later."""
    try:
        yield
    except SystemExit as ended:
        if not ended.code:  # --help
            sys.stdout.flush()
        raise
    sys.stdout.flush()


class _Requests:
    """Signal handlers that turn requests to stop into a KeyboardInterrupt."""

    def __init__(self) -> None:
        self.received = False
        self._timer: threading.Timer | None = None

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Turn signals into interrupts within the block, if this is the main thread."""
        signals = (*_REQUESTS, signal.SIGALRM) if _HAS_ALARM else _REQUESTS
        try:
            previous = [signal.signal(one, self._interrupt) for one in signals]
        except ValueError:  # not the main thread, which alone can handle signals
            yield
            return
        hook, sys.unraisablehook = sys.unraisablehook, self._interrupt_again
        try:
            yield
        finally:
            sys.unraisablehook = hook
            if _HAS_ALARM:
                signal.setitimer(signal.ITIMER_REAL, 0)
            if self._timer is not None:
                self._timer.cancel()
            for request, handler in zip(signals, previous, strict=True):
                signal.signal(request, handler)

    def _interrupt(self, *_: object) -> None:
        # The interrupt can lead to another error, in imports for example.
        self.received = True
        _end_workers()
        raise KeyboardInterrupt

    def _interrupt_again(self, ignored: Any) -> None:
        """Interrupt again in a moment: an interrupt within a destructor has no effect."""
        if self.received and ignored.exc_type is KeyboardInterrupt:
            if _HAS_ALARM:
                signal.setitimer(signal.ITIMER_REAL, _MOMENT)
            else:
                # Later, because an interrupt while the thread starts would be lost as well.
                self._timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
                self._timer.start()
        else:
            sys.__unraisablehook__(ignored)


def _end_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.terminate()


def _stop(error: BaseException, continuing: str) -> NoReturn:
    """Print a message and exit; exit at once if another signal arrives."""
    for request in _REQUESTS:
        signal.signal(request, lambda *_: os._exit(_STOPPED))
    _end_workers()
    if os.environ.get("CLIPNAV_TRACEBACK"):
        raise error
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, KeyboardInterrupt) and cause.args):
        cause = cause.__cause__ or cause.__context__
    print(cause or _STOPPED_SAFELY + continuing, file=sys.stderr)
    sys.exit(_STOPPED)


def _is_expected(error: BaseException) -> TypeGuard[Exception]:
    """Whether the user can correct the error; a FloatingPointError is a training that diverged.

    Before Python 3.13, pathlib reports circular symbolic links by a RuntimeError.
    """
    if type(error) is RuntimeError:
        return str(error).startswith("Symlink loop from ") or _lacks_memory(error)
    return isinstance(error, UserError | OSError | ModuleNotFoundError | FloatingPointError)


def _lacks_memory(error: Exception) -> bool:
    return "DefaultCPUAllocator" in str(error)  # torch raises a RuntimeError


def _message(error: Exception) -> object:
    """Return the message of an error for the user."""
    if _lacks_memory(error):
        _, _, reason = in_one_line(error).rpartition("DefaultCPUAllocator: ")
        return (
            f"not enough memory ({reason}); use a smaller batch or network, and check the sizes "
            "in the config.json of a run that somebody else has made"
        )
    if isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike):
        hint = _HINTS.get(type(error)) or _HINTS_BY_NUMBER.get(
            error.errno or 0, f"{error.strerror} (error {error.errno})"
        )
        path = Path(os.fspath(error.filename))
        if isinstance(error, FileNotFoundError) and not path.absolute().parent.exists():
            hint = f"its folder {path.parent} does not exist; check its name"
        elif isinstance(error, FileNotFoundError) and _was_creating(error):  # below /proc
            hint = f"{path.parent} takes no new folders; name another path"
        return f"{path}: {hint}"
    return error


def _was_creating(error: Exception) -> bool:
    return traceback.extract_tb(error.__traceback__)[-1].name == "mkdir"


def _says_all(error: Exception) -> bool:
    """Whether the message was written for the user, or names a file and its remedy."""
    return isinstance(error, UserError) or (
        isinstance(error, OSError) and (error.errno is None or error.filename is not None)
    )


def _reader_has_gone(error: Exception) -> bool:
    """Whether the reader of the output, such as head, has closed it; discard the rest if so."""
    is_invalid = isinstance(error, OSError) and error.errno == errno.EINVAL
    on_windows = sys.platform == "win32" and is_invalid and error.filename is None
    if not (isinstance(error, BrokenPipeError) or on_windows):
        return False
    output = sys.stdout.fileno()
    if not _is_closed(output):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _is_closed(output: int) -> bool:
    import select

    if not hasattr(select, "poll"):  # Windows; what could not be written is written once more
        try:
            sys.stdout.flush()
        except OSError:
            return True
        return False
    polled = select.poll()
    polled.register(output, select.POLLOUT)
    gone = select.POLLERR | select.POLLHUP  # of Linux and of macOS
    return any(event & gone for _, event in polled.poll(0))


def end_commands_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end this process at once if it runs a command.

    For the time in which modules are imported: no work has begun, and an exception there can be
    swallowed. `friendly_errors` then handles the signals.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        os.write(2, f"{_NOT_STARTED}\n".encode())
        os._exit(_STOPPED)

    if _is_command():
        for request in _REQUESTS:
            signal.signal(request, end)


def _is_command() -> bool:
    """Return whether this process runs a command, and is not a worker or another program."""
    program, started = sys.argv[0], sys.orig_argv
    if ("-m", "clipnav") in itertools.pairwise(started):
        return True
    scripts = Path(__file__).resolve().parents[1] / "scripts"
    # Worker processes have the sys.argv of their parent, but a command line of their own.
    return program in started and (
        Path(program).name in _CONSOLE or Path(program).resolve().parent == scripts
    )
