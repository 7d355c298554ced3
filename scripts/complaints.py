"""What the user of a command reads when something is wrong: a line instead of a traceback."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def complaints_in_a_line() -> Iterator[None]:
    """End the program with the message of an error that tells what is wrong with the input.

    With CLIPNAV_TRACEBACK=1 in the environment the error keeps its traceback. Where nobody reads
    the output any more the program ends without a word, as others do.
    """
    try:
        yield
    except _EXPECTED as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            sys.exit(1)
        if os.environ.get("CLIPNAV_TRACEBACK"):
            raise
        sys.exit(f"{_message(error)}\n(CLIPNAV_TRACEBACK=1 shows where this arose)")


def _message(error: Exception) -> object:
    """What an error says to people."""
    if isinstance(error, KeyError) and error.args:
        return error.args[0]  # the text of a KeyError is the representation of its message
    if isinstance(error, OSError) and isinstance(error.filename, str | os.PathLike):
        remedy = _REMEDIES.get(type(error), f"{error.strerror} (error {error.errno})")
        return f"{os.fspath(error.filename)}: {remedy}"
    return error


def _nobody_reads() -> bool:
    """Whether who read the output, such as head, has gone; what is left then goes nowhere."""
    output = sys.stdout.fileno()
    polled = select.poll()
    polled.register(output, select.POLLOUT)
    if not any(event & select.POLLERR for _, event in polled.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True
