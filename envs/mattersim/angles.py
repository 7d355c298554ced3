"""How MatterSim normalises, snaps and turns headings and elevations (radians)."""

from __future__ import annotations

import math

from storage.features.view_grid import NUM_HEADINGS, NUM_VIEWS, STEP, view_direction

_FULL_TURN = math.pi * 2.0
DISCRETIZED = tuple(view_direction(view) for view in range(NUM_VIEWS))
"""Heading and elevation of the 36 views."""


def normalized(heading: float) -> float:
    """Heading in [0, 2 pi), or 2 pi itself for the tiniest turn to the left of 0."""
    if not math.isfinite(heading):
        return math.nan
    heading = math.fmod(heading, _FULL_TURN)
    return heading + _FULL_TURN if heading < 0.0 else heading


def clamped(elevation: float, low: float, high: float) -> float:
    """Elevation within limits; NaN stays NaN."""
    return max(min(elevation, high), low)


def snapped(heading: float, elevation: float) -> int:
    """The view 0..35 nearest to the angles, half a step away from zero; NaN counts as zero."""
    steps = normalized(heading) / STEP
    step = 0 if math.isnan(steps) else int(steps)
    step = (step + (steps - step >= 0.5)) % NUM_HEADINGS
    half = STEP / 2.0
    band = 0 if elevation < -half else 2 if elevation > half else 1
    return band * NUM_HEADINGS + step


def sign(change: float) -> int:
    """1, 0 or -1, and 2 for NaN: indices into `TURNED`."""
    return 1 if change > 0 else -1 if change < 0 else 0 if change == 0 else 2


def _turned(view: int) -> tuple[tuple[int, ...], ...]:
    band, step = divmod(view, NUM_HEADINGS)
    # In the order of indices 0, 1, 2 and -1; MatterSim takes what becomes NaN for zero.
    steps = step, (step + 1) % NUM_HEADINGS, 0, (step - 1) % NUM_HEADINGS
    bands = band, min(band + 1, 2), 1, max(band - 1, 0)
    return tuple(tuple(b * NUM_HEADINGS + s for b in bands) for s in steps)


TURNED = tuple(_turned(view) for view in range(NUM_VIEWS))
"""The view after turning: by view, sign of the change of heading, sign of that of elevation."""
