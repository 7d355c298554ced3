"""What a floor plan is made of: rooms and the openings in their walls (metres, z up)."""

from dataclasses import dataclass

WALL_HEIGHT = 2.7
WALL_HALF_THICKNESS = 0.06


@dataclass(frozen=True)
class Room:
    """A rectangular room; x0 < x1 and y0 < y1 are the centre lines of its walls in metres."""

    index: int
    kind: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the room in metres."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Area between wall centre lines in square metres."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def contains(self, x: float, y: float) -> bool:
        """Whether a point lies within the wall centre lines."""
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1


@dataclass(frozen=True)
class Opening:
    """A hole in a wall.

    Attributes:
        kind: "door" (with a leaf), "arch" (without), "window" or "entrance" (a closed house door).
        axis: direction along which the wall runs, "x" or "y".
        position: the constant coordinate of the wall's centre line.
        start: lower end along the wall.
        end: upper end along the wall.
        bottom: height of the sill, 0 for doors and arches.
        top: height of the head.
        rooms: indices of the rooms on both sides; the second is -1 where that is outside.
        hinge: "start" or "end", the side on which a door's leaf hangs; "" for other kinds.
        swing_room: index of the room into which the leaf opens; -1 for other kinds.
    """

    kind: str
    axis: str
    position: float
    start: float
    end: float
    bottom: float
    top: float
    rooms: tuple[int, int]
    hinge: str = ""
    swing_room: int = -1

    @property
    def width(self) -> float:
        """Width of the hole in metres."""
        return self.end - self.start

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the hole on the floor plan."""
        middle = (self.start + self.end) / 2
        return (middle, self.position) if self.axis == "x" else (self.position, middle)

    @property
    def is_passage(self) -> bool:
        """Whether one can walk through."""
        return self.kind in ("door", "arch")
