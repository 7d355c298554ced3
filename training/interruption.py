"""Ctrl-C, or a scheduler's word that time is up, as a request to stop at the next good place."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

_REQUESTS = (signal.SIGINT, signal.SIGTERM)  # clusters send SIGTERM, and kill some seconds later


class Stopped(SystemExit):
    """The program ends because it was asked to; the message says how to go on."""


@contextmanager
def says_when_interrupted(message: Callable[[], str]) -> Iterator[None]:
    """Have a KeyboardInterrupt that leaves a block say what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        if error.args:
            raise
        raise KeyboardInterrupt(f"Stopped. {message()}") from error


@contextmanager
def interruption() -> Iterator[list[bool]]:
    """A list that becomes non-empty at the first request; a second one ends the program at once."""
    interrupted: list[bool] = []

    def note(*_: object) -> None:
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(True)
        tqdm.write("Stopping after this iteration; press Ctrl-C again to stop at once.", sys.stderr)

    try:
        previous = [signal.signal(request, note) for request in _REQUESTS]
    except ValueError:  # not the main thread: its owner handles signals
        yield interrupted
        return
    try:
        yield interrupted
    finally:
        for request, handler in zip(_REQUESTS, previous, strict=True):
            signal.signal(request, handler)
