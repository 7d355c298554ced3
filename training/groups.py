"""Processes of a distributed run, as the training loop sees them."""

from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Group(Protocol):
    """Processes of a distributed run."""

    def rank(self) -> int:
        """Return the rank of this process; rank 0 writes the run's folder."""
        ...

    def all_gather(self, value: Value) -> list[Value]:
        """Gather one value per rank, in rank order."""
        ...


class SingleProcess:
    """Group of a single process."""

    def rank(self) -> int:
        """Return 0."""
        return 0

    def all_gather(self, value: Value) -> list[Value]:
        """Return the value of this process."""
        return [value]
