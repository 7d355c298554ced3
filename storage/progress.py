"""Progress of long operations: one bar on a terminal, otherwise one line of text per minute."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from types import TracebackType
from typing import Any, Generic, Self, TextIO, TypeAlias, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

_SECONDS_PER_LINE = 60.0
# For progress in per mille, which has no unit.
_BAR_WITHOUT_COUNTS = "{desc} {percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}"


class ProgressLines(Generic[Item]):
    """Progress as lines of text, with the part of tqdm's interface that this project uses.

    A line has the share, the counts, the postfix, the elapsed and the remaining time. It is printed
    by the first update after each minute, and at the end.

    Args:
        clock: Function that returns the time in seconds.

    Attributes:
        n: Current count.
    """

    def __init__(
        self,
        iterable: Iterable[Item] | None = None,
        *,
        total: int | None = None,
        initial: int = 0,
        desc: str = "",
        unit: str | None = None,
        unit_scale: bool = False,
        leave: bool = True,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.n = initial
        self._iterable = iterable
        self._total = length_hint(iterable) if total is None else total
        self._initial = initial
        self._desc, self._unit, self._unit_scale = desc, unit, unit_scale
        self._leave, self._file, self._clock = leave, file or sys.stderr, clock
        self._postfix = ""
        self._start = self._printed = clock()
        self._is_closed = False

    def __iter__(self) -> Iterator[Item]:
        with self:
            for item in () if self._iterable is None else self._iterable:
                yield item
                self.update()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Add to the count; print a line if the last one is a minute old."""
        self.n += n
        now = self._clock()
        if now - self._printed >= _SECONDS_PER_LINE:
            self._printed = now
            self._print(now)

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set further text of the next lines; `refresh` has no effect."""
        self._postfix = text

    def close(self) -> None:
        """Print the last line, if `leave`."""
        if self._leave and not self._is_closed:
            self._print(self._clock())
        self._is_closed = True

    def _print(self, now: float) -> None:
        elapsed = now - self._start
        parts = []
        if self._total:
            parts.append(f"{100 * self.n / self._total:.0f}%")
        if self._unit is not None:
            total = f"/{self._number(self._total)}" if self._total else ""
            parts.append(f"{self._number(self.n)}{total} {self._unit.strip()}")
        if self._postfix:
            parts.append(self._postfix)
        parts.append(f"{tqdm.format_interval(elapsed)} elapsed")
        done = self.n - self._initial
        if self._total and 0 < done and self.n < self._total:
            left = elapsed * (self._total - self.n) / done
            parts.append(f"{tqdm.format_interval(left)} left")
        print(f"{self._desc}: {', '.join(parts)}", file=self._file, flush=True)

    def _number(self, count: int) -> str:
        return tqdm.format_sizeof(count) if self._unit_scale else str(count)


ProgressBar: TypeAlias = tqdm | ProgressLines[Any]


def progress_bar(
    iterable: Iterable[Item] | None = None,
    *,
    desc: str,
    unit: str | None,
    disable: bool = False,
    file: TextIO | None = None,
    **options: Any,
) -> "tqdm | ProgressLines[Item]":
    """Show the progress of an operation on stderr: a bar on a terminal, otherwise lines."""
    output: TextIO = file or sys.stderr
    if not (disable or output.isatty()):
        return ProgressLines(iterable, desc=desc, unit=unit, file=output, **options)
    if unit is None:
        options["bar_format"] = _BAR_WITHOUT_COUNTS
    # With a space, as tqdm writes the unit directly after the rate.
    return tqdm(iterable, desc=desc, unit=f" {unit}", disable=disable, file=output, **options)
