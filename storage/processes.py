"""Worker processes for jobs that write files, and their termination."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Generic, NoReturn, TypeVar

from tqdm import tqdm

from clipnav.storage import remove_unfinished
from clipnav.storage.errors import in_one_line, pluralise
from clipnav.storage.spec_table import Spec, SpecTable

_SECONDS = 5.0  # between two calls of `waiting`
_MOST_WORKERS = 61 if sys.platform == "win32" else sys.maxsize  # of one pool

Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerPool(ProcessPoolExecutor):
    """Pool of spawned worker processes; Embree and torch do not support fork.

    Workers ignore Ctrl-C, which the main process handles. SIGTERM ends a worker and deletes its
    temporary files. Workers end when the main process ends for any reason.
    """

    def __init__(self, workers: int, initializer: Callable[[], None] | None = None) -> None:
        context = get_context("spawn")
        workers = min(workers, _MOST_WORKERS)
        # Rows that this process has added by --agent or a call, as workers see neither.
        start = initializer, SpecTable.added_rows()
        super().__init__(workers, context, initializer=_start_worker, initargs=start)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a job; a worker that is started for it inherits a blocked SIGINT."""
        with blocked_interrupts():
            return super().submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers; in a process that is a worker itself, always wait for them.

        Otherwise multiprocessing closes the queue of the jobs at the end of that process, before
        the order to end is in it: the workers would wait for the order, and the process for them.
        """
        super().shutdown(wait or parent_process() is not None, cancel_futures=cancel_futures)


@contextmanager
def blocked_interrupts() -> Iterator[None]:
    """Block SIGINT, so that processes that are started within the block inherit that.

    Windows cannot block signals; there workers ignore Ctrl-C as soon as they have started.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use; all of them on macOS and Windows."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Iterable[Job | None],
    workers: int,
    task: str,
    waiting: Callable[[], None] | None = None,
    depend: bool = False,
) -> Iterator[tuple[Job, Result]]:
    """Run jobs in worker processes; yield each job and its result, in order of completion.

    No job starts after one has failed or after Ctrl-C. Jobs that run when another fails are
    completed and yielded before the failure is raised, so that callers can record them. An error
    of the iterable counts as a failed job.

    Args:
        jobs: Arguments of the function. It is read while jobs run; None means that none can start
            before another has been yielded.
        waiting: Called every few seconds while jobs run, to show their progress.
        depend: Whether the order of the jobs depends on those that have been yielded. Otherwise the
            next one starts while the caller is busy with the result of another.
    """
    pool = WorkerPool(workers)
    running = _RunningJobs(pool, function, jobs, workers)
    try:
        running.fill()
        while running:
            ended = running.wait(None if waiting is None else _SECONDS)
            if waiting is not None:
                waiting()
            if not depend:
                running.fill()
            yield from ended
            running.fill()
        if running.failure is not None:
            raise running.failure
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f"a process that {task} was killed; run the command again, with fewer --workers if "
            "memory ran out"
        ) from error
    finally:
        pool.shutdown(wait=False)


class _RunningJobs(Generic[Job, Result]):
    """Jobs that run, one per worker, as jobs in the queue of a pool cannot be cancelled.

    Attributes:
        failure: The first error; no job starts after it.
    """

    def __init__(
        self,
        pool: WorkerPool,
        function: Callable[[Job], Result],
        jobs: Iterable[Job | None],
        workers: int,
    ) -> None:
        self._pool, self._function = pool, function
        self._pending, self._workers = iter(jobs), workers
        self._running: dict[Future[Result], Job] = {}
        self.failure: BaseException | None = None

    def __len__(self) -> int:
        return len(self._running)

    def fill(self) -> None:
        """Start jobs until all workers have one, or none is left or ready."""
        while self.failure is None and len(self) < self._workers:
            try:
                job = next(self._pending, None)
            except Exception as error:
                self._fail(error)
                return
            if job is None:
                return
            self._running[self._pool.submit(self._function, job)] = job

    def wait(self, seconds: float | None) -> list[tuple[Job, Result]]:
        """Wait until jobs have ended; return those that succeeded, with their results."""
        done, _ = wait(self._running, seconds, return_when=FIRST_COMPLETED)
        ended = [(self._running.pop(future), future) for future in done]
        for _, future in ended:
            if (error := future.exception()) is not None:
                self._fail(error)
        return [(job, future.result()) for job, future in ended if future.exception() is None]

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            if self:  # other jobs still run, which can take hours
                others = pluralise(len(self), "other job")
                wait_for = f"Waiting for {others}; press Ctrl-C to stop at once."
                tqdm.write(f"{in_one_line(error)}\n{wait_for}", sys.stderr)


def _start_worker(initializer: Callable[[], None] | None, rows: list[Spec]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked, see above
    signal.signal(signal.SIGTERM, _terminate)
    parent = parent_process()

    def end_with_parent() -> None:
        assert parent is not None
        parent.join()
        remove_unfinished()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    SpecTable.restore_rows(rows)
    if initializer is not None:
        initializer()


def _terminate(*_: object) -> NoReturn:
    # No exception: Python would only print one that is raised in a destructor, and continue.
    remove_unfinished()
    os._exit(128 + signal.SIGTERM)
