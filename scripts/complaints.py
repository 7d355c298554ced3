"""What the user of a command reads when something is wrong: a line instead of a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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
    except BrokenPipeError:
        # Who reads the output, such as head, has read enough. What is left to write goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except _EXPECTED as error:
        if os.environ.get("CLIPNAV_TRACEBACK"):
            raise
        # The text of a KeyError is the representation of its message.
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        sys.exit(f"{message}\n(CLIPNAV_TRACEBACK=1 shows where this arose)")
