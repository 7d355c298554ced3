"""Cut rectangles into rooms and assign a kind to each room.

Kinds are assigned by size and neighbours (a kitchen beside the living room, small rooms for
bathrooms). This module works on bare rectangles; `storey_plans` adds doors and windows.
"""

from typing import NamedTuple

import numpy as np

from clipnav.envs.houses.plan.elements import STAIRWELL

# Minimum area (m2), maximum area (m2) and minimum side (m) between wall centre lines: the required
# furniture does not fit a smaller room, and a larger room looks empty.
_ROOM_SIZES: dict[str, tuple[float, float, float]] = {
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
ROOM_KINDS: tuple[str, ...] = (*HALL_KINDS, STAIRWELL, *_ROOM_SIZES)
_SMALLEST_SIDE = 2.1
_SHORTEST_SHARED_WALL = 1.45  # a door of 0.9 m with its frame and some wall on both sides


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
    for across, along in ((0, 1), (1, 0)):
        start, end = max(a[along], b[along]), min(a[along + 2], b[along + 2])
        if end - start < _SHORTEST_SHARED_WALL:
            continue
        for first, second in ((a, b), (b, a)):
            if abs(first[across + 2] - second[across]) < 1e-6:
                return SharedWall("xy"[along], first[across + 2], start, end)
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
    width, depth = rect.x1 - rect.x0, rect.y1 - rect.y0
    short, long = min(width, depth), max(width, depth)
    if long < 2 * _SMALLEST_SIDE or (width * depth <= _uniform(rng, *areas) and long / short < 1.9):
        rooms.append(rect)
        return
    cut = _uniform(rng, max(_SMALLEST_SIDE, 0.32 * long), min(long - _SMALLEST_SIDE, 0.68 * long))
    if width >= depth:
        middle = rect.x0 + round(cut, 1)
        first = Rect(rect.x0, rect.y0, middle, rect.y1)
        second = Rect(middle, rect.y0, rect.x1, rect.y1)
    else:
        middle = rect.y0 + round(cut, 1)
        first = Rect(rect.x0, rect.y0, rect.x1, middle)
        second = Rect(rect.x0, middle, rect.x1, rect.y1)
    split(rng, first, rooms, areas)
    split(rng, second, rooms, areas)


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return the number that `rng.uniform` draws, in a tenth of its time."""
    return low + (high - low) * rng.random()


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
    smallest, largest, side = _ROOM_SIZES[kind]
    return smallest <= rect.area <= largest and rect.sides[0] >= side


def fits_some(rect: Rect) -> bool:
    """Return whether a rectangle has a suitable size for some kind of room."""
    area, short = rect.area, rect.sides[0]
    return any(
        smallest <= area <= largest and short >= side
        for smallest, largest, side in _ROOM_SIZES.values()
    )


class KindAssigner:
    """Assignment of room kinds to rectangles.

    Attributes:
        kinds: Kinds assigned so far, by index of the rectangle.
    """

    def __init__(self, rects: list[Rect], kinds: dict[int, str]) -> None:
        self.kinds = kinds
        self._rects = rects

    def assign(self, kind: str, beside: tuple[str, ...], order: list[int]) -> bool:
        """Assign a kind to the first suitable free room that adjoins a kind of `beside`."""
        for room in order:
            if room in self.kinds or not fits(kind, self._rects[room]):
                continue
            walls = (
                shared_wall(self._rects[room], self._rects[other])
                for other, neighbour in self.kinds.items()
                if neighbour in beside
            )
            if any(walls):
                self.kinds[room] = kind
                return True
        return False
