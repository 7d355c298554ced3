"""Outlines of larger houses: a rectangle, an L or a T, with halls, stairwell and strips of rooms.

All storeys of a house share outline, halls and stairwell; the strips beside the halls are cut into
different rooms on each storey. Lengths are in metres between wall centre lines.
"""

from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.plan.room_layout import Rect, random_orientation
from clipnav.storage.errors import UserError

WELL_DEPTH = 3.1  # extent of a stairwell along its flights
RECESS = 0.9  # minimum distance of the wing of a T from both ends
INNER_START_CHANCE = 0.6  # probability that a hall begins inside, with rooms across its end


@dataclass(frozen=True)
class Shell:
    """The layout that all storeys of a house share.

    Attributes:
        width: Extent along x of the bounding rectangle; one of its corners is the origin.
        depth: Extent along y.
        halls: One hall, or two that meet; a stairwell is at the end of the first.
        strips: Remaining rectangles, to be cut into rooms.
        well: The stairwell, as wide as the first hall; None in a house of one storey.
    """

    width: float
    depth: float
    halls: tuple[Rect, ...]
    strips: tuple[Rect, ...]
    well: Rect | None


def draw_shell(rng: np.random.Generator, outline: str, storeys: int) -> Shell:
    """Draw the shell of a house."""
    if storeys not in (1, 2):
        raise UserError(f"a house has 1 or 2 storeys, not {storeys}; choose one of these")
    if outline == "rectangle":
        length, depth = _uniform(rng, 11.5, 15.5), _uniform(rng, 9.0, 11.5)
        wing = None
    elif outline in ("l", "t"):
        # With two storeys each is smaller, so that the number of rooms stays that of one house.
        length, depth = _uniform(rng, 11.2, 12.8 if storeys > 1 else 14.5), _uniform(rng, 9.3, 10.4)
        wing = _wing(rng, outline, length, 5.0 if storeys > 1 else 6.2)
    else:
        raise UserError(f"outline {outline!r} is none of rectangle, l, t; choose one of these")
    hall_width = _uniform(rng, 2.2, 2.4) if storeys > 1 else _uniform(rng, 1.7, 2.1)
    hall_y = round(_uniform(rng, 0.39, 0.46) * depth, 1)
    # A wing and stairs leave no room for a hall that begins inside.
    inner = rng.random() < INNER_START_CHANCE and (wing is None or storeys == 1)
    start = round(_uniform(rng, 0.25, 0.36 if wing is None else 0.3) * length, 1) if inner else 0.0
    hall = Rect(start, hall_y, length, hall_y + hall_width)
    well = None
    if storeys > 1:
        well = hall._replace(x1=start + WELL_DEPTH)
        hall = hall._replace(x0=start + WELL_DEPTH)
    strips = [Rect(0.0, 0.0, length, hall_y)]
    if inner:
        strips.append(Rect(0.0, hall_y, start, depth))
    halls = [hall]
    upper = Rect(start, hall.y1, length, depth)
    if wing is None:
        strips.append(upper)
    else:
        halls.append(wing._replace(y0=hall.y1, y1=depth + wing.y1))
        strips += _beside_wing(rng, outline, upper, halls[1])
        depth += wing.y1
    return _oriented(rng, Shell(length, depth, tuple(halls), tuple(strips), well))


def _wing(rng: np.random.Generator, outline: str, length: float, longest: float) -> Rect:
    """Return the hall of a wing: x0 and x1 on the main block, and its length as y1."""
    width, reach = _uniform(rng, 1.7, 2.0), _uniform(rng, 3.8, longest)
    if outline == "l":  # rooms on one side, windows on the other
        start = length - _uniform(rng, 4.0, 5.2) - width
    else:
        start = round(_uniform(rng, 0.46, 0.54) * length, 1)
    return Rect(start, 0.0, start + width, reach)


def _beside_wing(rng: np.random.Generator, outline: str, upper: Rect, hall: Rect) -> list[Rect]:
    """Return the strips beside the hall of a wing, which crosses the strip `upper`."""
    left = upper._replace(x1=hall.x0)
    right = upper._replace(x0=hall.x1)
    if outline == "l":
        return [left, right._replace(y1=hall.y1)]
    breadths = [
        round(min(_uniform(rng, 2.9, 3.8), side.x1 - side.x0 - RECESS), 1) for side in (left, right)
    ]
    return [
        left,
        right,
        Rect(hall.x0 - breadths[0], upper.y1, hall.x0, hall.y1),
        Rect(hall.x1, upper.y1, hall.x1 + breadths[1], hall.y1),
    ]


def _oriented(rng: np.random.Generator, shell: Shell) -> Shell:
    """Mirror and transpose at random; see `random_orientation`."""
    halls, strips = len(shell.halls), len(shell.strips)
    rects = [*shell.halls, *shell.strips, *([shell.well] if shell.well else [])]
    width, depth, rects = random_orientation(rng, shell.width, shell.depth, rects)
    return Shell(
        round(width, 3),
        round(depth, 3),
        tuple(rects[:halls]),
        tuple(rects[halls : halls + strips]),
        rects[-1] if shell.well else None,
    )


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between two limits, rounded to tenths (to hundredths if `high` is below 1)."""
    return round(float(rng.uniform(low, high)), 2 if high < 1 else 1)
