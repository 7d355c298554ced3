"""Processes that train together."""

from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Group(Protocol):
    """Processes that train together."""

    def rank(self) -> int:
        """Number of this process, from 0; the first one writes the run's folder."""
        ...

    def all_gather(self, value: Value) -> list[Value]:
        """A value of each process, in their order."""
        ...


class SingleProcess:
    """A process that trains by itself."""

    def rank(self) -> int:
        """It is the first."""
        return 0

    def all_gather(self, value: Value) -> list[Value]:
        """Its own value."""
        return [value]
