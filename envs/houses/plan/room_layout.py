"""Cut rectangles into rooms and assign a kind to each room.

Kinds are assigned by size and neighbours (a kitchen beside the living room, small rooms for
bathrooms). This module works on bare rectangles; `storey_plans` adds doors and windows.
"""

from typing import NamedTuple

import numpy as np

from clipnav.envs.houses.plan.elements import STAIRWELL

# Minimum area (m2), maximum area (m2) and minimum side (m) between wall centre lines: the required
# furniture does not fit a smaller room, and a larger room looks empty.
ROOM_SIZES: dict[str, tuple[float, float, float]] = {
    "living room": (18.0, 48.0, 3.9),
    "kitchen": (11.0, 26.0, 3.0),
    "dining room": (12.0, 28.0, 3.2),
    "bathroom": (6.5, 15.0, 2.3),
    "bedroom": (12.5, 32.0, 3.2),
    "kid's bedroom": (9.5, 24.0, 2.9),
    "office": (7.5, 22.0, 2.5),
    "library": (11.0, 26.0, 3.1),
    "laundry room": (5.0, 14.0, 2.2),
    "gym": (11.0, 28.0, 3.1),
    "closet": (6.0, 15.0, 2.3),
    "music room": (11.0, 32.0, 3.1),
}
HALL_KINDS = ("hallway", "landing")  # on the ground floor and above
ROOM_KINDS: tuple[str, ...] = (*HALL_KINDS, STAIRWELL, *ROOM_SIZES)
SMALLEST_SIDE = 2.1
SHORTEST_SHARED_WALL = 1.45  # a door of 0.9 m with its frame and some wall on both sides


class Rect(NamedTuple):
    """An axis-aligned rectangle between wall centre lines, in metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Area in square metres."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def sides(self) -> tuple[float, float]:
        """Shorter and longer side in metres."""
        a, b = self.x1 - self.x0, self.y1 - self.y0
        return min(a, b), max(a, b)

    def overlaps(self, other: "Rect") -> bool:
        """Return whether the two rectangles share more than an edge."""
        apart_x = self.x0 >= other.x1 or other.x0 >= self.x1
        return not (apart_x or self.y0 >= other.y1 or other.y0 >= self.y1)


class SharedWall(NamedTuple):
    """A piece of wall between two rooms, along `axis` at the constant coordinate `position`."""

    axis: str
    position: float
    start: float
    end: float


def shared_wall(a: Rect, b: Rect) -> SharedWall | None:
    """Return the piece of wall that two rectangles share, or None if it is too short for a door."""
    for across, (near, far) in enumerate((("x0", "x1"), ("y0", "y1"))):
        along = 1 - across
        start, end = max(a[along], b[along]), min(a[along + 2], b[along + 2])
        if end - start < SHORTEST_SHARED_WALL:
            continue
        for first, second in ((a, b), (b, a)):
            if abs(getattr(first, far) - getattr(second, near)) < 1e-6:
                return SharedWall("xy"[along], getattr(first, far), start, end)
    return None


def split(
    rng: np.random.Generator,
    rect: Rect,
    rooms: list[Rect],
    areas: tuple[float, float],
) -> None:
    """Cut a rectangle recursively into rooms and append them to `rooms`.

    A piece is not split further once its area is below a threshold, which is drawn between two
    `areas` in square metres.
    """
    short, long = rect.sides
    if long < 2 * SMALLEST_SIDE or (rect.area <= rng.uniform(*areas) and long / short < 1.9):
        rooms.append(rect)
        return
    along_x = rect.x1 - rect.x0 >= rect.y1 - rect.y0
    cut = rng.uniform(max(SMALLEST_SIDE, 0.32 * long), min(long - SMALLEST_SIDE, 0.68 * long))
    cut = round(float(cut), 1)
    if along_x:
        first, second = rect._replace(x1=rect.x0 + cut), rect._replace(x0=rect.x0 + cut)
    else:
        first, second = rect._replace(y1=rect.y0 + cut), rect._replace(y0=rect.y0 + cut)
    split(rng, first, rooms, areas)
    split(rng, second, rooms, areas)


def random_orientation(
    rng: np.random.Generator, length: float, depth: float, rooms: list[Rect]
) -> tuple[float, float, list[Rect]]:
    """Mirror and transpose at random, so that halls and entrances have all orientations."""
    if rng.random() < 0.5:
        rooms = [Rect(length - r.x1, r.y0, length - r.x0, r.y1) for r in rooms]
    if rng.random() < 0.5:
        rooms = [Rect(r.x0, depth - r.y1, r.x1, depth - r.y0) for r in rooms]
    if rng.random() < 0.5:
        length, depth = depth, length
        rooms = [Rect(r.y0, r.x0, r.y1, r.x1) for r in rooms]
    # Sums of tenths differ in the last bits; walls of neighbours must be exactly equal.
    return length, depth, [Rect(*(round(v, 3) for v in r)) for r in rooms]


def fits(kind: str, rect: Rect) -> bool:
    """Return whether a rectangle has a suitable size for a kind of room."""
    smallest, largest, side = ROOM_SIZES[kind]
    return smallest <= rect.area <= largest and rect.sides[0] >= side


class KindAssigner:
    """Assignment of room kinds to rectangles.

    Attributes:
        kinds: Kinds assigned so far, by index of the rectangle.
    """

    def __init__(self, rects: list[Rect], kinds: dict[int, str]) -> None:
        self.kinds = kinds
        self._rects = rects
        self._walls = {
            (i, j): shared_wall(a, b) is not None
            for i, a in enumerate(rects)
            for j, b in enumerate(rects)
            if i != j
        }

    def assign(self, kind: str, beside: tuple[str, ...], order: list[int]) -> bool:
        """Assign a kind to the first suitable free room that adjoins a kind of `beside`."""
        for room in order:
            if room in self.kinds or not fits(kind, self._rects[room]):
                continue
            if any(self._walls[room, other] for other, k in self.kinds.items() if k in beside):
                self.kinds[room] = kind
                return True
        return False
