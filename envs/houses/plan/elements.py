"""Elements of a floor plan: rooms, openings in their walls, and stairs (metres, z up)."""

from dataclasses import dataclass

WALL_HEIGHT = 2.7
WALL_HALF_THICKNESS = 0.06
STOREY_HEIGHT = 2.9  # from floor to floor
EYE_HEIGHT = 1.5  # of a camera above the floor
STAIRWELL = "staircase"  # kind of the rooms that contain stairs, one above the other
RISERS = 16  # number between two storeys, each 0.18 m high; half of them are below the landing
TREAD = 0.27  # metres of each step along the flight
FLIGHT_GAP = 0.08  # metres between the two flights


@dataclass(frozen=True)
class Room:
    """A rectangular room; x0 < x1 and y0 < y1 are the centre lines of its walls in metres.

    `storey` counts from 0, the ground floor.
    """

    index: int
    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    storey: int = 0

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the room in metres."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Area between wall centre lines in square metres."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def floor(self) -> float:
        """Height of the floor in metres; for a stairwell, of the storey's floor beside it."""
        return self.storey * STOREY_HEIGHT

    def contains(self, x: float, y: float) -> bool:
        """Return whether a point lies within the wall centre lines."""
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1


@dataclass(frozen=True)
class Opening:
    """A hole in a wall.

    Attributes:
        kind: "door" (with an open leaf), "arch" (without a leaf), "window", "entrance" (the closed
            house door), "closed door" (an inner door that is permanently closed) or "railing" (an
            arch beside the head of stairs that is see-through but not passable).
        axis: Direction of the wall, "x" or "y".
        position: Constant coordinate of the wall's centre line.
        start: Lower end along the wall.
        end: Upper end along the wall.
        bottom: Height of the sill above the storey's floor, 0 for doors and arches.
        top: Height of the head above the storey's floor.
        rooms: Indices of the rooms on both sides; the second is -1 if that side is outside.
        hinge: Side on which a door's leaf hangs, "start" or "end"; "" for other kinds.
        swing_room: Index of the room into which the leaf opens; -1 for other kinds.
        storey: Storey, counted from 0, the ground floor.
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
    storey: int = 0

    @property
    def width(self) -> float:
        """Width of the hole in metres."""
        return self.end - self.start

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the hole on the floor plan."""
        middle = (self.start + self.end) / 2
        return (middle, self.position) if self.axis == "x" else (self.position, middle)

    @property
    def floor(self) -> float:
        """Height in metres of the floor of its storey."""
        return self.storey * STOREY_HEIGHT

    @property
    def is_passage(self) -> bool:
        """Whether the opening is passable."""
        return self.kind in ("door", "arch")


@dataclass(frozen=True)
class Stairs:
    """Two flights in a stairwell: up to a landing at its back, and from there to the next storey.

    Points are given in the frame of the stairwell: `across` the flights, 0 in the middle, positive
    to the right when entering; `along` the first flight, 0 at the centre line of the front wall.

    Attributes:
        rooms: Indices of the stairwell rooms below and above.
        front: (x, y) in metres of the middle of the front wall, where both flights end.
        forward: Unit vector on the plan, from the front wall into the stairwell.
        width: Extent across the flights in metres, between wall centre lines.
        depth: Extent along the flights in metres, between wall centre lines.
        first_side: -1 if the first flight is on the left when entering, +1 if on the right.
        storey: Storey of the lower end.
    """

    rooms: tuple[int, int]
    front: tuple[float, float]
    forward: tuple[int, int]
    width: float
    depth: float
    first_side: int
    storey: int = 0

    def point(self, across: float, along: float) -> tuple[float, float]:
        """Return (x, y) in metres of a point in the frame of the stairwell."""
        (fx, fy), (x, y) = self.forward, self.front
        return x + across * fy + along * fx, y - across * fx + along * fy

    @property
    def rise(self) -> float:
        """Height of a step in metres."""
        return STOREY_HEIGHT / RISERS

    @property
    def flight_width(self) -> float:
        """Width of each flight in metres."""
        return (self.width - 2 * WALL_HALF_THICKNESS - FLIGHT_GAP) / 2

    @property
    def flight_middle(self) -> float:
        """Distance in metres of a flight's middle line from the middle of the stairwell."""
        return (self.flight_width + FLIGHT_GAP) / 2

    @property
    def landing_start(self) -> float:
        """Coordinate `along` at which the landing begins."""
        return WALL_HALF_THICKNESS + (RISERS // 2 - 1) * TREAD

    @property
    def landing(self) -> tuple[float, float, float]:
        """(x, y, z) in metres of the centre of the landing's floor."""
        along = (self.landing_start + self.depth - WALL_HALF_THICKNESS) / 2
        x, y = self.point(0.0, along)
        return x, y, (self.storey + 0.5) * STOREY_HEIGHT

    @property
    def stops(self) -> list[tuple[float, float, float]]:
        """(x, y, z) in metres of viewpoints' floors along the stairs, from the foot to the head.

        Two are on each flight and one on the landing.
        """
        across = self.first_side * self.flight_middle

        def on_tread(upper: bool, number: int) -> tuple[float, float, float]:
            """`number` counts the treads of a flight from its lower end, from 0."""
            run = (number + 0.5) * TREAD
            along = self.landing_start - run if upper else WALL_HALF_THICKNESS + run
            rises = number + 1 + (RISERS // 2 if upper else 0)
            at = self.point(-across if upper else across, along)
            return (*at, STOREY_HEIGHT * self.storey + rises * self.rise)

        lower, upper = ([on_tread(flight, k) for k in (1, 5)] for flight in (False, True))
        return [*lower, self.landing, *upper]

    def end(self, upper: bool, distance: float) -> tuple[float, float, float]:
        """Return (x, y, z) in metres of a point outside the well, in front of the foot or head.

        Args:
            distance: Distance in metres from the front wall.
        """
        across = self.first_side * self.flight_middle * (-1 if upper else 1)
        x, y = self.point(across, -distance)
        return x, y, (self.storey + upper) * STOREY_HEIGHT
