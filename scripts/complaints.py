"""One-line error messages of commands, instead of tracebacks.

Commands import this module first. From then on Ctrl-C and SIGTERM end them with a message and exit
status 130.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

# What to do about errors of the system, whose own text names neither the file first nor a remedy.
_REMEDIES: dict[type[OSError], str] = {
    FileNotFoundError: "no such file or folder; check its name, or make the folder it lies in",
    IsADirectoryError: "is a folder; name a file",
    NotADirectoryError: "lies below a file; name a folder that exists or can be made",
    FileExistsError: "is a file; name a folder",
    PermissionError: "may not be read or written; change its permissions, or name another place",
}

# What the packages raise for input that is missing or wrong, with messages made to be read.
_EXPECTED = (OSError, ValueError, KeyError, ModuleNotFoundError, FloatingPointError)
_REQUESTS = (signal.SIGINT, signal.SIGTERM)
_MOMENT = 0.01  # seconds
_STOPPED = 130  # exit status, as shells have it for Ctrl-C
_NOTHING_YET = "Stopped before anything was done."
_ALL_WHOLE = (
    "Stopped. No file is half written. Give the same command again to do what is left; a training "
    "goes on with --resume and the folder of its run."
)


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Print the message of an expected error and exit.

    With CLIPNAV_TRACEBACK=1 in the environment, errors keep their traceback. If the reader of the
    output has closed the pipe, the program exits silently.

    Ctrl-C and SIGTERM end worker processes, then print the message of the KeyboardInterrupt, which
    states what is kept. Training handles these signals itself.
    """
    requests = _Requests()
    with requests.handled():
        try:
            yield
        except BaseException as error:
            if requests.came or isinstance(error, KeyboardInterrupt):
                _stop(error)
            # Training handles requests itself, and ends by this.
            if isinstance(error, SystemExit) and type(error) is not SystemExit:
                print(error, file=sys.stderr)
                sys.exit(_STOPPED)
            if not isinstance(error, _EXPECTED):
                raise
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                sys.exit(1)
            if os.environ.get("CLIPNAV_TRACEBACK"):
                raise
            sys.exit(f"{_message(error)}\n(CLIPNAV_TRACEBACK=1 shows where this arose)")


class _Requests:
    """Signals to stop, each of which raises a KeyboardInterrupt."""

    def __init__(self) -> None:
        self.came = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Turn signals into interrupts within the block, if this is the main thread."""
        signals = (*_REQUESTS, signal.SIGALRM)
        try:
            previous = [signal.signal(one, self._interrupt) for one in signals]
        except ValueError:  # its owner handles signals
            yield
            return
        hook, sys.unraisablehook = sys.unraisablehook, self._ask_again
        try:
            yield
        finally:
            sys.unraisablehook = hook
            signal.setitimer(signal.ITIMER_REAL, 0)
            for request, handler in zip(signals, previous, strict=True):
                signal.signal(request, handler)

    def _interrupt(self, *_: object) -> None:
        # What comes after may be another error that this one leads to, in imports for example.
        self.came = True
        _end_workers()
        raise KeyboardInterrupt

    def _ask_again(self, ignored: Any) -> None:
        """Interrupt again in a moment: an interrupt within a destructor has no effect."""
        if self.came and ignored.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _MOMENT)
        else:
            sys.__unraisablehook__(ignored)


def _end_workers() -> None:
    for worker in multiprocessing.active_children():
        worker.terminate()


def _stop(error: BaseException) -> NoReturn:
    """Print a message and exit; exit at once if another signal arrives."""
    for request in _REQUESTS:
        signal.signal(request, _exit_at_once)
    _end_workers()
    if os.environ.get("CLIPNAV_TRACEBACK"):
        raise error
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, KeyboardInterrupt) and cause.args):
        cause = cause.__cause__ or cause.__context__
    print(cause or _ALL_WHOLE, file=sys.stderr)
    sys.exit(_STOPPED)


def _exit_at_once(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(_STOPPED)


def _message(error: Exception) -> object:
    """Return the message of an error for the user."""
    if isinstance(error, KeyError) and error.args:
        return error.args[0]  # the text of a KeyError is the representation of its message
    if isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike):
        remedy = _REMEDIES.get(type(error), f"{error.strerror} (error {error.errno})")
        return f"{os.fspath(error.filename)}: {remedy}"
    return error


def _nobody_reads() -> bool:
    """Whether the reader of the output, such as head, has closed it; discard the rest if so."""
    import select

    output = sys.stdout.fileno()
    polled = select.poll()
    polled.register(output, select.POLLOUT)
    if not any(event & select.POLLERR for _, event in polled.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _end_before_work(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, f"{_NOTHING_YET}\n".encode())
    os._exit(_STOPPED)


def _is_a_command() -> bool:
    """Whether this process was started with one of the scripts, and is not a worker process."""
    folder = Path(__file__).resolve().parent
    return any(
        word.endswith(".py") and Path(word).resolve().parent == folder for word in sys.orig_argv
    )


if _is_a_command():
    # Nothing is at stake while modules are imported, and an exception there can be swallowed.
    for _request in _REQUESTS:
        signal.signal(_request, _end_before_work)
