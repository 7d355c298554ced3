"""Types that the modules of the fixed parts of a house share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clipnav.envs.houses.meshes.geometry import Material, Part
from clipnav.envs.houses.plan.elements import Room

OUTSIDE = "outside"  # category of the garden around the house
GARDEN_RADIUS = 30.0  # metres
# Function that builds the floor of a room from a material.
FloorLayer = Callable[[Room, Material], Part]


@dataclass(frozen=True, eq=False)
class Fixture:
    """An object of a house, in world coordinates.

    Attributes:
        category: Plain English noun.
        room: Index of its room, -1 outside or between rooms.
        parts: Its surfaces.
        colour: Name of its dominant colour, or "".
        material: "wooden", ... or "".
    """

    category: str
    room: int
    parts: tuple[Part, ...]
    colour: str = ""
    material: str = ""
