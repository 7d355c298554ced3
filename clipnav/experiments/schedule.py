"""Which steps of an experiment start next, and the locks of the folders that they write."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from clipnav.experiments.steps import Step, predecessors
from clipnav.storage.locks import sole_writer


class Schedule(AbstractContextManager["Schedule"]):
    """Steps that run as soon as those that they wait for have ended.

    The folder of an experiment is locked until its last step has ended, or the context ends.

    Args:
        steps: All steps, in the order in which they are declared.

    Raises:
        OutputInUseError: Another process runs steps of one of the experiments (on entry).
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps, self._waits = steps, predecessors(steps)
        self._taken: set[int] = set()
        self._ended: set[int] = set()
        self._locks: dict[Path, ExitStack] = {}

    def __enter__(self) -> "Schedule":
        try:
            for folder in dict.fromkeys(step.folder for step in self._steps):
                folder.mkdir(parents=True, exist_ok=True)
                lock = ExitStack()
                lock.enter_context(sole_writer(folder))
                self._locks[folder] = lock
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for lock in self._locks.values():
            lock.close()

    def __len__(self) -> int:
        """Return the number of steps that have not been taken."""
        return len(self._steps) - len(self._taken)

    def take(self) -> Step | None:
        """Return the first step that can start; None if all of them wait for others."""
        for number, step in enumerate(self._steps):
            if number not in self._taken and self._waits[number] <= self._ended:
                self._taken.add(number)
                return step
        return None

    def has_ended(self, step: Step) -> bool:
        """Return whether a step has ended."""
        return self._steps.index(step) in self._ended

    def end(self, step: Step) -> None:
        """Say that a step that was taken has ended."""
        self._ended.add(self._steps.index(step))
        waiting = (s for k, s in enumerate(self._steps) if k not in self._ended)
        if all(other.folder != step.folder for other in waiting):
            self._locks[step.folder].close()
