"""Charts of the tables: points with whiskers in SVG, drawn from the records.

A chart has a panel per column. Rows are grouped by their first column if two columns of text come
before the numbers. A mean has the whiskers of its interval, a difference its own and a line
at zero. Colours follow the theme of the reader.
"""

from collections.abc import Container, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from clipnav.experiments.axes import axis, drawing, interval, label
from clipnav.experiments.curves import draw_curves
from clipnav.experiments.declarations import Column, Experiment
from clipnav.experiments.pages import format_cell
from clipnav.experiments.records import Cell, Record, read_record
from clipnav.storage import write_text
from clipnav.storage.errors import UserError

_ROW, _TOP, _LETTER, _PANEL, _GAP = 24, 64, 7.2, 250, 24  # pixels
_VALUE = 120  # pixels of a value at the right of a panel


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


def draw_chart(record: Record, experiment: Experiment) -> str:
    """Return the chart of a record as the text of an SVG file."""
    chart, columns = experiment.chart, experiment.column_list()
    assert chart is not None
    names = [column.name for column in columns]
    if unknown := [name for name in chart.columns if name not in names]:
        raise UserError(f"{record.experiment}: the chart has no column {unknown[0]!r} in its table")
    if chart.y:
        return draw_curves(record, experiment)
    labels = next(i for i, cell in enumerate(record.rows[0]) if not isinstance(cell, str))
    lines = _lines(record.rows, labels)
    widest = max(_LETTER * len(text) for text, _ in lines)
    left = round(min(max(widest, 90), 330)) + 24
    width = left + len(chart.columns) * (_PANEL + _VALUE + _GAP)
    bottom = _TOP + _ROW * len(lines)
    height = bottom + 34
    parts = _labels(lines)
    for number, name in enumerate(chart.columns):
        column = columns[names.index(name)]
        cells = [None if row is None else row[names.index(name)] for _, row in lines]
        x = left + number * (_PANEL + _VALUE + _GAP)
        parts += _panel(cells, column, (x, bottom))
    return drawing(chart.title, width, height, parts)


def _lines(rows: Sequence[Sequence[Cell]], labels: int) -> list[tuple[str, Sequence[Cell] | None]]:
    """Return the lines of a chart: groups, whose row is None, and rows with their label."""
    if labels < 2:
        return [(str(row[0]), row) for row in rows]
    lines: list[tuple[str, Sequence[Cell] | None]] = []
    for group, own in groupby(rows, key=lambda row: row[0]):
        lines.append((str(group), None))
        lines += [(", ".join(str(cell) for cell in row[1:labels] if cell), row) for row in own]
    return lines


def _labels(lines: Sequence[tuple[str, object]]) -> list[str]:
    parts = []
    for number, (text, row) in enumerate(lines):
        y = _TOP + _ROW * number + 17
        x, kind = (16, "group") if row is None else (24, "row")
        shown = text.replace("`", "")
        shown = shown if len(shown) <= 46 else f"{shown[:45]}…"
        parts.append(label(shown, x, y, kind))
    return parts


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
