"""Measurement and report of benchmarks: work per CPU second, a table, and a final line of JSON."""

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

# Python puts the folder of a command first in its path. Here training.py would shadow the package
# of that name, so the root of the project goes first, and this folder last.
_FOLDER = Path(__file__).resolve().parent
_OTHERS = [path for path in sys.path if Path(path).resolve() != _FOLDER]
sys.path[:] = [str(_FOLDER.parent), *_OTHERS, str(_FOLDER)]

PACKAGES = ("numpy", "torch", "gymnasium")


class Figure(NamedTuple):
    """A measured figure.

    Attributes:
        name: Name in the table.
        value: Measured value.
        unit: Unit of the value.
        bar: Target value, if there is one.
        at_most: Whether the bar is an upper bound instead of a lower one.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None without a bar."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def rate(work: Callable[[], object], units: float, seconds: float = 2.0) -> float:
    """Measure units of work per CPU second of this process, summed over all threads.

    Args:
        work: Function to measure; called once to warm up, then repeatedly.
        units: Units of work in one call.
        seconds: Minimum CPU seconds to spend.
    """
    work()
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds or calls == 0:
        work()
        calls += 1
    return units * calls / spent


def peak_memory() -> float:
    """Return the peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> dict[str, str | int]:
    """Return the processor, the number of usable cores, and package versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def report(title: str, figures: Sequence[Figure]) -> None:
    """Print the machine and a table of figures, then both as one line of JSON."""
    properties = machine()
    print(title)
    print(", ".join(f"{name} {value}" for name, value in properties.items()))
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"  {figure.name:<{width}}  {_number(figure.value):>12} {figure.unit}{_bar(figure)}")
    values = {figure.name: figure._asdict() | {"reached": figure.reached} for figure in figures}
    print(json.dumps({"benchmark": title, "machine": properties, "figures": values}))


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    verdict = "reached" if figure.reached else "missed"
    return f"  ({'at most' if figure.at_most else 'at least'} {_number(figure.bar)}: {verdict})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line[:10] == "model name"]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
