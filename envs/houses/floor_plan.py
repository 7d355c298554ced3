"""Floor plans of the built-in houses: rooms, doors, arches, windows and the entrance.

A plan is a pure function of its seed. Lengths are metres, z is up; rooms are rectangles between the
centre lines of their walls.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from envs.houses.plan_elements import WALL_HALF_THICKNESS, WALL_HEIGHT, Opening, Room
from envs.houses.room_layout import ROOM_KINDS, Rect, assign_kinds, cut_into_rooms
from envs.houses.room_links import choose_links
from envs.houses.wall_openings import longest_bare_wall, place_outer_openings, place_passages

__all__ = [
    "ROOM_KINDS",
    "WALL_HALF_THICKNESS",
    "WALL_HEIGHT",
    "FloorPlan",
    "Opening",
    "Room",
    "make_floor_plan",
]

FEWEST_ROOMS, MOST_ROOMS = 7, 11
PLAN_TAG = 1
LAYOUT_ATTEMPTS = 10_000
OPENING_ATTEMPTS = 8
# Longest piece of bare wall in metres that the main furniture of a room needs, and whether a window
# may be in it: a kitchen works below one, a television or a bed does not stand before one.
BARE_WALLS: dict[str, tuple[float, bool]] = {
    "living room": (2.3, False),
    "kitchen": (2.8, True),
    "bedroom": (2.5, False),
    "kid's bedroom": (1.4, False),
    "library": (1.9, False),
    "music room": (1.8, False),
    "closet": (1.9, False),
    "bathroom": (1.9, True),
}


@dataclass(frozen=True)
class FloorPlan:
    """A storey whose corner lies at the origin: `width` along x, `depth` along y, in metres."""

    width: float
    depth: float
    rooms: tuple[Room, ...]
    openings: tuple[Opening, ...]

    def room_at(self, x: float, y: float) -> int:
        """Index of the room at a point, -1 outside."""
        return next((room.index for room in self.rooms if room.contains(x, y)), -1)

    def openings_of(self, room: int) -> Iterator[Opening]:
        """The openings in the walls of a room."""
        return (opening for opening in self.openings if room in opening.rooms)

    def to_dict(self) -> dict[str, Any]:
        """The plan in plain lists and dictionaries, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "FloorPlan":
        """The plan that `to_dict` described."""
        openings = (Opening(**{**o, "rooms": tuple(o["rooms"])}) for o in record["openings"])
        rooms = tuple(Room(**room) for room in record["rooms"])
        return cls(record["width"], record["depth"], rooms, tuple(openings))


def make_floor_plan(plan_seed: int) -> FloorPlan:
    """A house of 7 to 11 rooms in which every room is reached; every seed gives one.

    Raises:
        RuntimeError: if no attempt succeeded. About one layout in eighty does, so that no seed
            should ever come near.
    """
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
    """Rooms joined by doors and arches; None where they clash or leave too little bare wall."""
    links = choose_links(rng, rects, kinds)
    if links is None:
        return None
    rooms = tuple(Room(i, k, *r) for i, (k, r) in enumerate(zip(kinds, rects, strict=True)))
    passages = place_passages(rng, rooms, links)
    if passages is None:
        return None
    openings = passages + place_outer_openings(rng, width, depth, rooms, passages)
    if not all(_has_wall_space(room, openings) for room in rooms):
        return None
    return FloorPlan(width, depth, rooms, tuple(openings))


def _has_wall_space(room: Room, openings: list[Opening]) -> bool:
    needed, windows_allowed = BARE_WALLS.get(room.kind, (0.0, True))
    return longest_bare_wall(room, openings, windows_too=not windows_allowed) >= needed
