"""Curves of a table in SVG: a number over another one, with bands of intervals.

The first column of the table has the places on the x axis, and each column of the chart is a
curve, with its name at its end. On a logarithmic x axis, whose places are few and chosen, curves
have points with whiskers instead of bands.
"""

import math
from collections.abc import Sequence

from clipnav.experiments.axes import axis, drawing, interval, label
from clipnav.experiments.declarations import Experiment
from clipnav.experiments.records import Record
from clipnav.storage.errors import UserError

_LEFT, _TOP, _WIDTH, _HEIGHT, _NAMES = 56, 56, 520, 260, 190  # pixels
_COLOURS = ("--one", "--two", "--three", "--four")
_MARGIN = 16  # pixels from the ends of a logarithmic axis to its points
_LABEL = 16  # least distance in pixels of the names of two curves


def draw_curves(record: Record, experiment: Experiment) -> str:
    """Return the curves of a record as the text of an SVG file."""
    chart, names = experiment.chart, [column.name for column in experiment.column_list()]
    assert chart is not None
    if len(chart.columns) > len(_COLOURS):
        raise UserError(f"{record.experiment}: a chart has at most {len(_COLOURS)} curves")
    xs = [float(str(row[0])) for row in record.rows]
    curves = [[interval(row[names.index(name)]) for row in record.rows] for name in chart.columns]
    ends = [end for curve in curves for point in curve if point for end in point]
    x_ticks = sorted(xs) if chart.log_x else axis(min(0.0, *xs), max(xs))
    y_ticks = axis(min(0.0, *ends), max(ends))
    scale = math.log if chart.log_x else float
    (left, *_, right), (low, *_, high) = map(scale, x_ticks), y_ticks
    margin = _MARGIN if chart.log_x else 0

    def x_of(value: float) -> float:
        share = (scale(value) - left) / (right - left)
        return round(_LEFT + margin + share * (_WIDTH - 2 * margin), 1)

    def y_of(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * _HEIGHT, 1)

    parts = [label(chart.y, _LEFT, _TOP - 8, "head")]
    for tick in y_ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}"/>')
        parts.append(label(f"{tick:g}", _LEFT - 8, y + 4, "tick", text_anchor="end"))
    bottom = _TOP + _HEIGHT
    for tick in x_ticks:
        parts.append(label(f"{tick:g}", x_of(tick), bottom + 18, "tick", text_anchor="middle"))
    middle = _LEFT + _WIDTH / 2
    parts.append(label(names[0], middle, bottom + 38, "head", text_anchor="middle"))
    last = []
    for name, curve, colour in zip(chart.columns, curves, _COLOURS, strict=False):
        points = [(x_of(x), *map(y_of, one)) for x, one in zip(xs, curve, strict=True) if one]
        line = " ".join(f"{x},{y}" for x, y, _, _ in points)
        parts += _whiskers(points, colour) if chart.log_x else [_band(points, colour)]
        style = f'fill="none" stroke="var({colour})" stroke-width="2.5"'
        parts.append(f'<polyline {style} points="{line}"/>')
        last.append((points[-1][1], name, colour))
    for y, name, colour in _apart(last):
        x = _LEFT + _WIDTH + 10
        parts.append(label(name, x, y + 4, "name", style=f"fill: var({colour})"))
    return drawing(chart.title, _LEFT + _WIDTH + _NAMES, bottom + 54, parts)


def _band(points: Sequence[Sequence[float]], colour: str) -> str:
    """Draw the area between the ends of intervals; a point is x, y and its two ends."""
    there = " ".join(f"{x},{low}" for x, _, low, _ in points)
    back = " ".join(f"{x},{high}" for x, _, _, high in reversed(points))
    return f'<polygon fill="var({colour})" opacity=".15" points="{there} {back}"/>'


def _whiskers(points: Sequence[Sequence[float]], colour: str) -> list[str]:
    """Draw points and their intervals, see `_band`."""
    style = f'stroke="var({colour})" stroke-width="2"'
    parts = []
    for x, y, low, high in points:
        parts.append(f'<line {style} x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        parts.append(f'<circle fill="var({colour})" cx="{x}" cy="{y}" r="4.5"/>')
    return parts


def _apart(names: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Move names down that would cover each other."""
    placed: list[tuple[float, str, str]] = []
    for y, name, colour in sorted(names):
        placed.append((max(y, placed[-1][0] + _LABEL) if placed else y, name, colour))
    return placed
