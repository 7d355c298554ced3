"""Computing the next results in a pool while the current one is used."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetched(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Apply a function to items in a pool and yield the results in the order of the items."""
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
