"""Jobs in processes of their own that leave files, of which the first to fail stops the rest."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def carried_out(
    function: Callable[[Job], Result], jobs: Iterable[Job], workers: int, what: str
) -> Iterator[tuple[Job, Result]]:
    """Jobs and their results, in the order in which they get ready.

    No job begins after one has failed, nor after Ctrl-C; those at work end by themselves.

    Args:
        function: What does a job; both travel to another process.
        jobs: What there is to do.
        workers: Processes, each of which does one job at a time.
        what: What a process does, for the message: "builds houses".

    Raises:
        ChildProcessError: A process was killed.
        Exception: What the function raised.
    """
    # Embree and torch do not survive a fork.
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    waiting = iter(jobs)
    try:
        # One for each process: what a pool has queued for them cannot be recalled.
        at_work = {pool.submit(function, job): job for job in islice(waiting, workers)}
        while at_work:
            done, _ = wait(at_work, return_when=FIRST_COMPLETED)
            for future in done:
                job, result = at_work.pop(future), future.result()
                at_work |= {pool.submit(function, other): other for other in islice(waiting, 1)}
                yield job, result
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"a process that {what} was killed; give the command again, with fewer --workers if "
            "memory ran out"
        ) from error
    finally:
        pool.shutdown(wait=False)
