"""Charts of the tables in SVG, drawn from the records: points with whiskers, or curves.

A chart of points has a panel per column. Rows are grouped by their first column if two columns of
text come before the numbers. A mean has the whiskers of its interval, a difference its own and a
line at zero.

Of curves, the first column of the table has the places on the x axis, and each column of the chart
is a curve with a band of its intervals and its name at its end. On a logarithmic x axis, whose
places are few and chosen, curves have points with whiskers instead of bands. Colours follow the
theme of the reader.
"""

import html
import math
from collections.abc import Container, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from clipnav.experiments.declarations import Column, Experiment
from clipnav.experiments.pages import format_cell
from clipnav.experiments.records import Cell, ExperimentRecord, read_record
from clipnav.storage import write_text
from clipnav.storage.errors import UserError

# Pixels of charts of points.
_ROW, _TOP, _LETTER, _PANEL, _GAP = 24, 64, 7.2, 250, 24
_VALUE = 120  # of a value at the right of a panel
# Pixels of curves.
_LEFT, _ABOVE, _WIDTH, _HEIGHT, _NAMES = 56, 56, 520, 260, 190
_MARGIN = 16  # from the ends of a logarithmic axis to its points
_LABEL = 16  # least distance of the names of two curves
_COLOURS = ("--one", "--two", "--three", "--four")
_STYLE = """
  svg { --ink: #1c2430; --muted: #566173; --line: #d9dee5; --paper: #fff; --one: #0072b2; --two: #c04f00;
        --three: #007a5a; --four: #9a5b9c; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e4e9f0; --muted: #a3adbb; --line: #343d49; --paper: #1d232b; --one: #58b4ea; --two: #f28a45;
          --three: #3cbf97; --four: #d69ad8; }
  }
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
  .title { font-weight: 650; font-size: 15px; }
  .group { font-weight: 650; }
  .tick, .head { fill: var(--muted); font-size: 12px; }
  .grid { stroke: var(--line); }
  .zero { stroke: var(--muted); stroke-dasharray: 4 3; }
  .mean { fill: var(--one); stroke: none; } .mean + line, .bar { stroke: var(--one); stroke-width: 2; }
  .difference { fill: var(--two); } .apart { stroke: var(--two); stroke-width: 2; }
"""  # noqa: E501


def write_charts(
    docs: Path, experiments: Mapping[str, Experiment], names: Container[str] | None = None
) -> list[Path]:
    """Draw the charts of experiments that have records; return the files that have changed."""
    changed = []
    for name, experiment in experiments.items():
        record = read_record(docs / "results", name)
        if record is None or not experiment.chart or (names is not None and name not in names):
            continue
        path, text = docs / "results" / f"{name}.svg", draw_chart(record, experiment)
        if not path.is_file() or path.read_text("utf-8") != text:
            write_text(path, text)
            changed.append(path)
    return changed


def draw_chart(record: ExperimentRecord, experiment: Experiment) -> str:
    """Return the chart of a record as the text of an SVG file."""
    chart, columns = experiment.chart, experiment.column_list()
    assert chart is not None
    names = [column.name for column in columns]
    if unknown := [name for name in chart.columns if name not in names]:
        raise UserError(f"{record.experiment}: the chart has no column {unknown[0]!r} in its table")
    if chart.y:
        return _draw_curves(record, experiment)
    labels = next(i for i, cell in enumerate(record.rows[0]) if not isinstance(cell, str))
    # Groups, whose row is None, and rows with their label.
    lines: list[tuple[str, Sequence[Cell] | None]] = []
    if labels < 2:
        lines += [(str(row[0]), row) for row in record.rows]
    else:
        for group, own in groupby(record.rows, key=lambda row: row[0]):
            lines.append((str(group), None))
            lines += [(", ".join(str(cell) for cell in row[1:labels] if cell), row) for row in own]
    widest = max(_LETTER * len(text) for text, _ in lines)
    left = round(min(max(widest, 90), 330)) + 24
    width = left + len(chart.columns) * (_PANEL + _VALUE + _GAP)
    bottom = _TOP + _ROW * len(lines)
    height = bottom + 34
    parts = []
    for number, (text, row) in enumerate(lines):
        x, kind = (16, "group") if row is None else (24, "row")
        shown = text.replace("`", "")
        shown = shown if len(shown) <= 46 else f"{shown[:45]}…"
        parts.append(label(shown, x, _TOP + _ROW * number + 17, kind))
    for number, name in enumerate(chart.columns):
        column = columns[names.index(name)]
        cells = [None if row is None else row[names.index(name)] for _, row in lines]
        x = left + number * (_PANEL + _VALUE + _GAP)
        parts += _panel(cells, column, (x, bottom))
    return drawing(chart.title, width, height, parts)


def _panel(cells: Sequence[Cell], column: Column, corner: tuple[float, float]) -> list[str]:
    """Draw a column; the corner is its left edge and its bottom."""
    left, bottom = corner
    spans = [interval(cell) for cell in cells]
    ends = [end for span in spans if span for end in span]
    differences = any(isinstance(cell, tuple | list) and len(cell) == 3 for cell in cells)
    ticks = axis(min([0.0, *ends]), max([0.0, *ends]))
    if not differences and all(span[0] >= 0 for span in spans if span):
        ticks = [tick for tick in ticks if tick >= 0]  # a whisker below zero is cut off
    low = ticks[0]
    scale = _PANEL / (ticks[-1] - low)

    def x_of(value: float) -> str:
        return f"{left + (value - low) * scale:.1f}"

    parts = [label(column.name, left, _TOP - 14, "head")]
    for tick in ticks:
        x = x_of(tick)
        kind = "zero" if differences and tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_TOP - 4}" y2="{bottom}"/>')
        parts.append(label(f"{tick:g}", x, bottom + 18, "tick", text_anchor="middle"))
    for number, (cell, span) in enumerate(zip(cells, spans, strict=True)):
        if span is None:
            continue
        y = _TOP + _ROW * number + 12.5
        point, bar = ("difference", "apart") if differences else ("mean", "bar")
        middle, start, end = (x_of(max(value, low)) for value in span)
        if start != end:
            parts.append(f'<line class="{bar}" x1="{start}" x2="{end}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="{point}" cx="{middle}" cy="{y}" r="4.5"/>')
        parts.append(label(format_cell(cell, column), left + _PANEL + 10, y + 4.5, "tick"))
    return parts


def _draw_curves(record: ExperimentRecord, experiment: Experiment) -> str:
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
        return round(_ABOVE + (high - value) / (high - low) * _HEIGHT, 1)

    parts = [label(chart.y, _LEFT, _ABOVE - 8, "head")]
    for tick in y_ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}"/>')
        parts.append(label(f"{tick:g}", _LEFT - 8, y + 4, "tick", text_anchor="end"))
    bottom = _ABOVE + _HEIGHT
    for tick in x_ticks:
        parts.append(label(f"{tick:g}", x_of(tick), bottom + 18, "tick", text_anchor="middle"))
    middle = _LEFT + _WIDTH / 2
    parts.append(label(names[0], middle, bottom + 38, "head", text_anchor="middle"))
    last = []
    for name, curve, colour in zip(chart.columns, curves, _COLOURS, strict=False):
        points = [(x_of(x), *map(y_of, one)) for x, one in zip(xs, curve, strict=True) if one]
        line = " ".join(f"{x},{y}" for x, y, _, _ in points)
        if chart.log_x:
            style = f'stroke="var({colour})" stroke-width="2"'
            for x, y, start, end in points:
                parts.append(f'<line {style} x1="{x}" x2="{x}" y1="{start}" y2="{end}"/>')
                parts.append(f'<circle fill="var({colour})" cx="{x}" cy="{y}" r="4.5"/>')
        else:
            there = " ".join(f"{x},{start}" for x, _, start, _ in points)
            back = " ".join(f"{x},{end}" for x, _, _, end in reversed(points))
            style = f'fill="var({colour})" opacity=".15"'
            parts.append(f'<polygon {style} points="{there} {back}"/>')
        style = f'fill="none" stroke="var({colour})" stroke-width="2.5"'
        parts.append(f'<polyline {style} points="{line}"/>')
        last.append((points[-1][1], name, colour))
    below = -math.inf
    for y, name, colour in sorted(last):
        below = max(y, below + _LABEL)  # names would cover each other
        x, style = _LEFT + _WIDTH + 10, f"fill: var({colour})"
        parts.append(label(name, x, below + 4, "name", style=style))
    return drawing(chart.title, _LEFT + _WIDTH + _NAMES, bottom + 54, parts)


def label(words: str, x: float | str, y: float, kind: str, **attributes: str) -> str:
    """Return a text in SVG, of a class of the style; `text_anchor` is the attribute text-anchor."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text class="{kind}" x="{x}" y="{y}"{more}>{html.escape(words)}</text>'


def drawing(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    """Return an SVG file with a title and the parts of a chart."""
    name = html.escape(title)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{name}">\n<style>{_STYLE}'
        f'</style>\n<rect width="{width}" height="{height}" rx="10" fill="var(--paper)"/>\n'
        f'<text class="title" x="16" y="26">{name}</text>\n{body}\n</svg>\n'
    )


def interval(cell: Cell) -> tuple[float, float, float] | None:
    """Return value, low and high end of a cell; None if it has no number."""
    match cell:
        case None | str():
            return None
        case (mean, half):
            return mean, mean - half, mean + half
        case (difference, low, high):
            return difference, low, high
        case int() | float():
            return cell, cell, cell
    raise ValueError(f"{cell!r}: not a cell")


def axis(low: float, high: float) -> list[float]:
    """Return round ticks of an axis that reach from one value to another, or beyond them."""
    rough = max(high - low, 1e-6) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
