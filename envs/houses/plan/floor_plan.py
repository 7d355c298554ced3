"""Floor plans of the built-in houses: rooms, doors, arches, windows, stairs and the entrance.

A plan is a pure function of its seed and options. Lengths are in metres and z is up. Rooms are
rectangles between the centre lines of their walls.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from clipnav.envs.houses.plan.elements import (
    STAIRWELL,
    STOREY_HEIGHT,
    WALL_HALF_THICKNESS,
    WALL_HEIGHT,
    Opening,
    Room,
    Stairs,
)
from clipnav.envs.houses.plan.room_layout import ROOM_KINDS, Rect, assign_kinds, cut_into_rooms
from clipnav.envs.houses.plan.room_links import choose_links
from clipnav.envs.houses.plan.wall_openings import (
    has_wall_space,
    place_outer_openings,
    place_passages,
)

__all__ = [
    "ROOM_KINDS",
    "WALL_HALF_THICKNESS",
    "WALL_HEIGHT",
    "FloorPlan",
    "Opening",
    "Outline",
    "Room",
    "Stairs",
    "make_floor_plan",
]

Outline = Literal["rectangle", "l", "t"]

FEWEST_ROOMS, MOST_ROOMS = 7, 11
PLAN_TAG = 1
LAYOUT_ATTEMPTS = 10_000
OPENING_ATTEMPTS = 8


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


def make_floor_plan(
    plan_seed: int,
    outline: Outline = "rectangle",
    storeys: int = 1,
    open_plan: bool = False,
    closed_doors: bool = False,
) -> FloorPlan:
    """Return the floor plan of a house in which every room is reachable."""
    if (outline, storeys, open_plan, closed_doors) != ("rectangle", 1, False, False):
        from clipnav.envs.houses.plan.storey_plans import make_storeys

        width, depth, rooms, openings, stairs = make_storeys(
            plan_seed, outline, storeys, open_plan, closed_doors
        )
        return FloorPlan(width, depth, rooms, openings, stairs)
    for attempt in range(LAYOUT_ATTEMPTS):
        rng = np.random.default_rng([plan_seed, PLAN_TAG, attempt])
        width, depth, rects = cut_into_rooms(rng)
        kinds = None
        if FEWEST_ROOMS <= len(rects) <= MOST_ROOMS:
            kinds = assign_kinds(rng, rects)
        if kinds is None:
            continue
        for _ in range(OPENING_ATTEMPTS):
            plan = _with_openings(rng, width, depth, rects, kinds)
            if plan is not None:
                return plan
    raise RuntimeError(
        f"plan seed {plan_seed}: no floor plan in {LAYOUT_ATTEMPTS} attempts; use another seed"
    )


def _with_openings(
    rng: np.random.Generator, width: float, depth: float, rects: list[Rect], kinds: list[str]
) -> FloorPlan | None:
    """Return rooms with openings, or None if openings clash or leave too little bare wall."""
    links = choose_links(rng, rects, kinds)
    if links is None:
        return None
    rooms = tuple(Room(i, k, *r) for i, (k, r) in enumerate(zip(kinds, rects, strict=True)))
    passages = place_passages(rng, rooms, links)
    if passages is None:
        return None
    openings = passages + place_outer_openings(rng, rooms, passages)
    if not all(has_wall_space(room, openings) for room in rooms):
        return None
    return FloorPlan(width, depth, rooms, tuple(openings))
