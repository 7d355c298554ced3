"""Interface of the processes of a run, as the training loop sees them."""

from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Group(Protocol):
    """Processes of a run; `training.distributed` implements it."""

    def rank(self) -> int:
        """Return the rank of this process; rank 0 writes the run's folder."""
        ...

    def all_gather(self, value: Value) -> list[Value]:
        """Gather one value per rank, in rank order."""
        ...
