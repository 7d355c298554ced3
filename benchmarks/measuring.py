"""How benchmarks measure and report: work per CPU second, a table, one JSON line at the end."""

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
    """One measured figure; `bar` is what it should reach (at least, or at most if so marked)."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


def rate(work: Callable[[], object], units: float, seconds: float = 2.0) -> float:
    """Units of work per CPU second of this process, all threads together.

    Args:
        work: What to measure; called once to warm up, then again and again.
        units: Units of work that one call does.
        seconds: CPU seconds to spend at least.
    """
    work()
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds or calls == 0:
        work()
        calls += 1
    return units * calls / spent


def peak_memory() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> dict[str, str | int]:
    """Processor, cores that may be used, and versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def report(title: str, figures: Sequence[Figure]) -> None:
    """Print the machine, a table of figures, and all of it again as one line of JSON."""
    described = machine()
    print(title)
    print(", ".join(f"{name} {value}" for name, value in described.items()))
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"  {figure.name:<{width}}  {_number(figure.value):>12} {figure.unit}{_bar(figure)}")
    values = {figure.name: figure._asdict() | {"reached": figure.reached} for figure in figures}
    print(json.dumps({"benchmark": title, "machine": described, "figures": values}))


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
