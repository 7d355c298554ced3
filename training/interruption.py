"""Ctrl-C and SIGTERM as requests to stop after the current iteration."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

from tqdm import tqdm

_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # schedulers send SIGTERM before SIGKILL


class Stopped(SystemExit):
    """The program ends on request; the message explains how to resume."""


class UnfinishedIterationError(Exception):
    """A long iteration or evaluation is given up on request; a resumed run repeats it."""


@contextmanager
def interruption_message(message: Callable[[], str]) -> Iterator[None]:
    """Add a message about saved work and resuming to a KeyboardInterrupt of a block."""
    try:
        yield
    except KeyboardInterrupt as error:
        if error.args:
            raise
        raise KeyboardInterrupt(f"Stopped. {message()}") from error


@contextmanager
def interruption() -> Iterator[list[bool]]:
    """Yield a list that the first request makes non-empty; a second request ends the program.

    In worker processes it stays empty: their main process, which handles Ctrl-C, ends them at once.
    """
    requests: list[bool] = []
    if parent_process() is not None:
        yield requests
        return

    def record(*_: object) -> None:
        if requests:
            raise KeyboardInterrupt
        requests.append(True)
        tqdm.write("Stopping after this iteration; press Ctrl-C again to stop at once.", sys.stderr)

    try:
        previous = [signal.signal(number, record) for number in _SIGNALS]
    except ValueError:  # only the main thread can handle signals
        yield requests
        return
    try:
        yield requests
    finally:
        for number, handler in zip(_SIGNALS, previous, strict=True):
            signal.signal(number, handler)
