"""Ctrl-C as a request to stop at the next good place."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def interruption() -> Iterator[list[bool]]:
    """A list that becomes non-empty at Ctrl-C; a second Ctrl-C ends the program at once."""
    interrupted: list[bool] = []

    def note(*_: object) -> None:
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(True)
        tqdm.write("Stopping after this iteration; press Ctrl-C again to stop at once.", sys.stderr)

    try:
        previous = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: its owner handles signals
        yield interrupted
        return
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)
