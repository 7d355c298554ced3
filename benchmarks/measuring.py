"""Measurement and report of benchmarks: work per CPU second, a table, and a final line of JSON."""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Python puts the folder of a command first in its path. Here training.py would shadow the package
# of that name, so the root of the project goes first, and this folder last.
_FOLDER = Path(__file__).resolve().parent
_OTHERS = [path for path in sys.path if Path(path).resolve() != _FOLDER]
sys.path[:] = [str(_FOLDER.parent), *_OTHERS, str(_FOLDER)]


@dataclass(frozen=True)
class BenchmarkConfig:
    """Settings that all benchmarks share."""

    json: Path | None = None
    """File for the figures as JSON; the last line of the output contains the same."""
    quick: bool = False
    """Use little data and time, to test the benchmark itself."""


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
        seconds: Minimum CPU seconds to spend.
    """
    work()
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds or calls == 0:
        work()
        calls += 1
    return units * calls / spent


def in_turns(works: Sequence[Callable[[], object]], seconds: float, runs: int = 5) -> np.ndarray:
    """Measure CPU seconds (runs, works) per call of functions that take turns.

    Load affects all alike, so that the ratios of a row are meaningful where the times are not.

    Args:
        seconds: Minimum CPU seconds to spend on all together.
    """
    for work in works:
        work()
    measured = []
    for _ in range(runs):
        calls, spent = 0, [0.0] * len(works)
        while sum(spent) < seconds / runs or calls == 0:
            for number, work in enumerate(works):
                start = time.process_time()
                work()
                spent[number] += time.process_time() - start
            calls += 1
        measured.append([total / calls for total in spent])
    return np.array(measured)


def multiple_figures(
    name: str, original: Sequence[np.ndarray], ours: np.ndarray, bar: float | None = None
) -> list[Figure]:
    """Return by how much the times (runs,) of the original files exceed ours; none without them."""
    figures = []
    for times in original:
        multiples = times / ours
        median = float(np.median(multiples))
        figures.append(Figure(f"{name}: multiple of the original", median, "", bar))
        figures.append(Figure(f"{name}: smallest multiple", float(multiples.min()), ""))
    return figures


def peak_memory() -> float:
    """Return the peak resident memory of this process in MiB; NaN on Windows."""
    try:
        import resource
    except ModuleNotFoundError:
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1 << 10  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


def report(title: str, figures: Sequence[Figure], path: Path | None = None) -> None:
    """Print the machine and a table of figures, then both as one line of JSON."""
    # Imported here, after the path of modules is corrected.
    from clipnav.experiments.records import machine
    from clipnav.storage import write_text

    properties = machine()
    print(title)
    print(", ".join(f"{name} {value}" for name, value in properties.items()))
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"  {figure.name:<{width}}  {_number(figure.value):>12} {figure.unit}{_bar(figure)}")
    values = {figure.name: figure._asdict() | {"reached": figure.reached} for figure in figures}
    document = {"benchmark": title, "machine": properties, "figures": values}
    if path is not None:
        write_text(path, json.dumps(document, indent=2) + "\n")
    print(json.dumps(document))


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    verdict = "reached" if figure.reached else "missed"
    return f"  ({'at most' if figure.at_most else 'at least'} {_number(figure.bar)}: {verdict})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
