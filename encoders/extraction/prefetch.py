"""Preparing what comes next while what is there is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetched(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Results of a function in the order of its items, worked out in a pool.

    Args:
        pool: Threads where the function waits or leaves the interpreter's lock (decoding pictures),
            processes where it does not.
        function: What makes a result.
        items: Its arguments.
        ahead: How many results may be waiting, so that they do not pile up in memory.

    Raises:
        Exception: What the function raised, in the place of that item's result; those before it
            have been yielded.
    """
    jobs: deque[Future[Result]] = deque()
    try:
        for item in items:
            jobs.append(pool.submit(function, item))
            if len(jobs) > ahead:
                yield jobs.popleft().result()
        while jobs:
            yield jobs.popleft().result()
    finally:
        for job in jobs:
            job.cancel()
