"""Worker processes: jobs that leave files, and what ends the processes that do them."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any, NoReturn, TypeVar

from storage import remove_unfinished

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerPool(ProcessPoolExecutor):
    """Processes that begin afresh, as Embree and torch do not survive a fork.

    Ctrl-C does not reach them: who started them says what becomes of them. SIGTERM ends the job at
    hand, which removes what it has half written. They end with the process that started them,
    however that ends.

    Args:
        workers: How many.
        begin: What each does before its first job.
    """

    def __init__(self, workers: int, begin: Callable[[], None] | None = None) -> None:
        super().__init__(workers, get_context("spawn"), initializer=_begin_work, initargs=(begin,))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a process do a job; a process that is started for it never hears of Ctrl-C."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_jobs(
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
    pool = WorkerPool(workers)
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


def _begin_work(begin: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGTERM, _end_job)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_job(*_: object) -> NoReturn:
    # No exception: within a destructor it would be printed, and the job would go on.
    remove_unfinished()
    os._exit(128 + signal.SIGTERM)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        remove_unfinished()
        os._exit(1)
