"""Style of the figures: panels, series that differ from each other, labels and legends.

Colours follow Okabe and Ito; shapes and hatches distinguish the series without colour.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "osD^vP"
HATCHES = ("", "//", "..", "\\\\", "xx", "++")
LINES = ("-", "--", ":", "-.")

_LINE = 0.175  # inches of a line of a legend
_LETTER, _SIGN = 0.075, 0.6  # inches of a letter, and of a line or patch with its margins
_FRAME = 0.6  # inches of a figure outside of its axes
_SHARE = 0.6  # of the height of axes that a legend inside may take
_LONGEST = 30  # letters of a name in a legend inside the axes


@dataclass(frozen=True)
class SeriesStyle:
    """Look of a series of a figure; the first 24 differ from each other.

    Attributes:
        cycle: Number of earlier series of the same colour.
    """

    cycle: int
    colour: str
    line: str
    marker: str
    hatch: str


def series_style(place: int) -> SeriesStyle:
    """Return the look of a series, counted from 0."""
    cycle, colour = divmod(place, len(COLOURS))
    shape = (place + cycle) % len(MARKERS)
    line = LINES[cycle % len(LINES)]
    return SeriesStyle(cycle, COLOURS[colour], line, MARKERS[shape], HATCHES[shape])


def shown_name(name: str, width: int = 44) -> str:
    r"""Return a name as matplotlib shows it, in lines of at most `width` letters.

    Matplotlib takes text between two `$` for a formula and leaves names that begin with `_` out of
    legends.
    """
    text = textwrap.fill(name, width).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def panels(count: int) -> tuple["Figure", "Sequence[Axes]"]:
    """Return a figure and its axes, beside each other."""
    # Figure directly, because pyplot keeps figures in global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * count, 3.1), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="both", color="#e5e8ec", linewidth=0.8)
        one.set_axisbelow(True)
    return figure, axes


def add_legends(figure: "Figure", axes: "Sequence[Axes]") -> None:
    """Add a legend to each of the axes: inside if it is small, otherwise below.

    The figure grows by the legends below, so that the axes keep their size.
    """
    width, height = figure.get_size_inches()
    added = 0.0
    for one in axes:
        names = one.get_legend_handles_labels()[1]
        if not names:
            continue
        lines = sum(_lines(name) for name in names)
        inside = lines * _LINE <= _SHARE * (height - _FRAME)
        if inside and max(map(_letters, names)) <= _LONGEST:
            one.legend(frameon=False, fontsize="small")
            continue
        columns, rows = _table(names, width / len(axes) - _FRAME)
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2)}
        one.legend(**place, ncols=columns, frameon=False, fontsize="small")
        added = max(added, rows * _LINE)
    figure.set_figheight(height + added)


def add_shared_legend(figure: "Figure", handles: Sequence[Any], names: Sequence[str]) -> None:
    """Add a legend above all axes, in as many columns as fit.

    The figure grows by all rows but the first.
    """
    width, height = figure.get_size_inches()
    columns, rows = _table(names, width)
    figure.set_figheight(height + (rows - 1) * _LINE)
    figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False)


def _letters(name: str) -> int:
    return max(map(len, name.split("\n")))


def _lines(name: str) -> int:
    return 1 + name.count("\n")


def _table(names: Sequence[str], width: float) -> tuple[int, int]:
    """Return the number of columns and of rows, in lines, of a legend of a width in inches."""
    column = _SIGN + _LETTER * max(map(_letters, names))
    columns = max(1, min(len(names), int(width / column)))
    return columns, math.ceil(len(names) / columns) * max(map(_lines, names))
