"""What the fixed parts of a house share: a fixture, and how floors are laid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from envs.houses.meshes.geometry import Material, Part
from envs.houses.plan.plan_elements import Room

OUTSIDE = "outside"  # category of the garden, which surrounds the house
GARDEN_RADIUS = 30.0  # metres


@dataclass(frozen=True, eq=False)
class Fixture:
    """An object of a house, in world coordinates.

    Attributes:
        category: plain English noun.
        room: index of its room, -1 outside or between rooms.
        parts: its surfaces.
        colour: name of its dominant colour, "" if not worth naming.
        material: "wooden", ... or "".
    """

    category: str
    room: int
    parts: tuple[Part, ...]
    colour: str = ""
    material: str = ""


# Floor of a room of a material; the default lays one of even cells.
FloorLayer = Callable[[Room, Material], Part]
