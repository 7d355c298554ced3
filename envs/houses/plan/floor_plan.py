"""Floor plans of the built-in houses: rooms, doors, arches, windows, stairs and the entrance.

Lengths are in metres and z is up. Rooms are rectangles between the centre lines of their walls.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from clipnav.envs.houses.plan.elements import (
    STAIRWELL,
    STOREY_HEIGHT,
    WALL_HALF_THICKNESS,
    WALL_HEIGHT,
    Opening,
    Room,
    Stairs,
)
from clipnav.envs.houses.plan.room_layout import ROOM_KINDS

__all__ = [
    "ROOM_KINDS",
    "WALL_HALF_THICKNESS",
    "WALL_HEIGHT",
    "FloorPlan",
    "Opening",
    "Outline",
    "Room",
    "Stairs",
]

Outline = Literal["rectangle", "l", "t"]


@dataclass(frozen=True)
class FloorPlan:
    """The rooms of a house; all storeys have the same outline.

    Attributes:
        width: Extent along x in metres of the bounding rectangle; one of its corners is the origin.
        depth: Extent along y in metres.
        rooms: Rooms in the order of their indices; room 0 is the first hall of the ground floor.
        openings: Openings in the walls of all storeys.
        stairs: One element for each pair of storeys, from the lowest.
    """

    width: float
    depth: float
    rooms: tuple[Room, ...]
    openings: tuple[Opening, ...]
    stairs: tuple[Stairs, ...] = ()

    @property
    def storeys(self) -> int:
        """Number of storeys."""
        return 1 + max(room.storey for room in self.rooms)

    @property
    def is_rectangular(self) -> bool:
        """Whether the rooms of a storey fill their bounding rectangle."""
        covered = sum(room.area for room in self.rooms if room.storey == 0)
        return abs(covered - self.width * self.depth) < 1e-6

    @property
    def closed_doors(self) -> tuple[Opening, ...]:
        """Inner doors that are permanently closed: visible, but not passable."""
        return tuple(opening for opening in self.openings if opening.kind == "closed door")

    def storey_at(self, z: float) -> int:
        """Return the storey of a height in metres, of a floor or of a camera above it."""
        return min(max(int(z / STOREY_HEIGHT + 1e-6), 0), self.storeys - 1)

    def room_at(self, x: float, y: float, z: float = 0.0) -> int:
        """Return the index of the room at a point, -1 outside.

        `z` is the height in metres of a floor or of a camera above it.
        """
        storey = self.storey_at(z)
        inside = (room for room in self.rooms if room.storey == storey and room.contains(x, y))
        return next((room.index for room in inside), -1)

    def is_on_stairs(self, x: float, y: float, z: float) -> bool:
        """Return whether a point lies in a stairwell."""
        room = self.room_at(x, y, z)
        return room >= 0 and self.rooms[room].kind == STAIRWELL

    def openings_of(self, room: int) -> Iterator[Opening]:
        """Return the openings in the walls of a room."""
        return (opening for opening in self.openings if room in opening.rooms)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as lists and dictionaries that JSON can store.

        Records of houses of one storey omit stairs and storeys.
        """
        record = asdict(self)
        if self.storeys == 1:
            del record["stairs"]
            for part in (*record["rooms"], *record["openings"]):
                del part["storey"]
        return record

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "FloorPlan":
        """Return the plan of a record of `to_dict`."""
        openings = (Opening(**{**o, "rooms": tuple(o["rooms"])}) for o in record["openings"])
        rooms = tuple(Room(**room) for room in record["rooms"])
        pairs = ("rooms", "front", "forward")  # lists in JSON
        stairs = (
            Stairs(**{**flight, **{key: tuple(flight[key]) for key in pairs}})
            for flight in record.get("stairs", ())
        )
        return cls(record["width"], record["depth"], rooms, tuple(openings), tuple(stairs))
