"""What all charts in SVG share: colours that follow the theme of the reader, axes, intervals."""

import html
import math
from collections.abc import Sequence

from clipnav.experiments.records import Cell

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
