"""Figures of a step in a row, and a curve over the steps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clipnav.envs.drawing.canvas import (
    CARD,
    FAINT,
    INK,
    MUTED,
    WAY,
    Canvas,
    DrawingStyle,
    mixed,
    text_width,
)


class Curve(NamedTuple):
    """Values over the steps of a walk.

    Attributes:
        name: What they are.
        values: Those of all steps.
        now: The step now, which may lie between two.
        threshold: Value at which a line is drawn; none at 0 or above all values.
    """

    name: str
    values: Sequence[float]
    now: float
    threshold: float = 0.0


def write_figures(canvas: Canvas, figures: Sequence[tuple[str, str]], style: DrawingStyle) -> float:
    """Write names and values in a row; return the pixel to the right of them."""
    unit, height = style.unit, canvas.size[1]
    x = 16 * unit
    for name, value in figures:
        canvas.text((x, 0.3 * height), name, 12 * unit, MUTED, "lm")
        canvas.text((x, 0.67 * height), value, 20 * unit, INK, "lm", bold=True)
        widest = max(text_width(name, 12 * unit), text_width("00.0 m", 20 * unit, bold=True))
        x += max(widest, text_width(value, 20 * unit, bold=True)) + 26 * unit
    return x


def draw_curve(canvas: Canvas, left: float, curve: Curve, style: DrawingStyle) -> None:
    """Draw values over the steps from a pixel to the right edge; nothing if there is no room."""
    name, known, now, threshold = curve
    unit, (width, height) = style.unit, canvas.size
    right = width - 18 * unit
    if len(known) < 2 or right - left < 80 * unit:
        return
    top, bottom = 0.42 * height, 0.86 * height
    most = max(*known, 1e-6)
    xs = np.linspace(left, right, len(known))
    ys = bottom - np.array(known) / most * (bottom - top)
    points = list(zip(xs.tolist(), ys.tolist(), strict=True))
    canvas.text((left, 0.24 * height), name, 12 * unit, MUTED, "lm")
    canvas.polygon([(left, bottom), *points, (right, bottom)], mixed(CARD, FAINT, 0.6))
    if 0 < threshold < most:
        y = bottom - threshold / most * (bottom - top)
        canvas.dashed([(left, y), (right, y)], WAY, 1.2 * unit, 4 * unit)
    x = left + (right - left) * now / max(len(known) - 1, 1)
    y = float(np.interp(x, xs, ys))
    done = [point for point in points if point[0] < x]
    canvas.line([*done, (x, y)] if done else [(x, y), (x, y)], style.colour, 2.5 * unit)
    canvas.circle((x, y), 5 * unit, style.colour, CARD, 1.5 * unit)
