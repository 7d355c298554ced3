"""MatterSim's rules for normalising, snapping and changing headings and elevations (radians)."""

from __future__ import annotations

import math

from clipnav.storage.features.view_grid import NUM_HEADINGS, NUM_VIEWS, STEP, view_direction

_FULL_TURN = math.pi * 2.0
DISCRETIZED = tuple(view_direction(view) for view in range(NUM_VIEWS))
"""Heading and elevation of the 36 views."""


def normalized(heading: float) -> float:
    """Return a heading in [0, 2 pi), or 2 pi for tiny negative headings, due to rounding."""
    if not math.isfinite(heading):
        return math.nan
    heading = math.fmod(heading, _FULL_TURN)
    return heading + _FULL_TURN if heading < 0.0 else heading


def clamped(elevation: float, low: float, high: float) -> float:
    """Return an elevation within limits; NaN stays NaN."""
    return max(min(elevation, high), low)


def snapped(heading: float, elevation: float) -> int:
    """Return the view 0..35 nearest to the angles, with half steps rounded away from zero.

    NaN counts as zero.
    """
    steps = normalized(heading) / STEP
    step = 0 if math.isnan(steps) else int(steps)
    step = (step + (steps - step >= 0.5)) % NUM_HEADINGS
    half = STEP / 2.0
    row = 0 if elevation < -half else 2 if elevation > half else 1
    return row * NUM_HEADINGS + step


def sign(change: float) -> int:
    """Return 1, 0 or -1, and 2 for NaN: indices into `TURNED`."""
    return 1 if change > 0 else -1 if change < 0 else 0 if change == 0 else 2


def _turned(view: int) -> tuple[tuple[int, ...], ...]:
    row, step = divmod(view, NUM_HEADINGS)
    # In the order of the indices 0, 1, 2 and -1; MatterSim treats NaN as zero.
    steps = step, (step + 1) % NUM_HEADINGS, 0, (step - 1) % NUM_HEADINGS
    rows = row, min(row + 1, 2), 1, max(row - 1, 0)
    return tuple(tuple(r * NUM_HEADINGS + s for r in rows) for s in steps)


TURNED = tuple(_turned(view) for view in range(NUM_VIEWS))
"""View after a turn, by view, sign of the heading's change and sign of the elevation's change."""
