"""Loading of batches by worker processes, which decode images ahead of the training."""

import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from clipnav.storage.errors import UserError
from clipnav.storage.processes import blocked_interrupts

Key = TypeVar("Key")
Item = TypeVar("Item")


def load_batches(make: Callable[[Key], Item], keys: Iterable[Key], workers: int) -> Iterator[Item]:
    """Yield the batches of keys in order.

    Args:
        make: Function of a key; with workers it must be picklable, as the keys must.
        workers: Number of processes that make batches; 0: make them in this process.
    """
    loader = DataLoader(
        _Batches(make),
        batch_size=None,
        sampler=keys,
        num_workers=workers,
        # Threads of torch and of the caller do not survive a fork.
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_start_worker if workers else None,
        # By default, a new iterator draws from the random numbers of the training.
        generator=torch.Generator(),
    )
    with blocked_interrupts():
        batches = iter(loader)  # workers inherit the blocked SIGINT; the main process handles it
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise ChildProcessError(
                "a process that decodes images was killed; run the command again, with fewer "
                "--workers if memory ran out"
            ) from error
        if isinstance(batch, _Failure):
            raise batch.kind(batch.message)
        yield batch


@dataclass(frozen=True)
class _Failure:
    """An error of a worker. DataLoader would raise it with a traceback in its message."""

    kind: type[Exception]
    message: str


class _Batches(Dataset[Any]):
    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._make(key)
        except (FileNotFoundError, UserError) as error:
            return _Failure(type(error), str(error))


def _start_worker(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
