"""Furnishing of a stairwell: a lamp above and pictures along the walls."""

from clipnav.envs.houses.furnishing.placement import SIDES, Pose
from clipnav.envs.houses.furnishing.room_builder import PICTURE_HEIGHT, PlacedObject, RoomBuilder
from clipnav.envs.houses.plan.elements import STOREY_HEIGHT
from clipnav.envs.houses.plan.floor_plan import WALL_HEIGHT

_PICTURE_CHANCE = 0.75


def furnish_stairwell(room: RoomBuilder) -> list[PlacedObject]:
    """Furnish the upper room of a stairwell; the lower one contains only steps."""
    space = room.space
    if space.room.storey == 0:
        return []
    lamp = Pose(*space.room.centre, space.in_row(1)[0].angle)
    room.put(room.draw("ceiling light"), lamp, WALL_HEIGHT, blocks=False)
    # Halfway between the floors, half a metre above eye height on the landing.
    height = PICTURE_HEIGHT - STOREY_HEIGHT / 2 + 0.5
    open_sides = {space.side_of(o) for o in space.openings if o.kind != "window"}
    for side in SIDES:
        if side not in open_sides and room.chance(_PICTURE_CHANCE):
            low, high = space.span(side)
            room.hang(room.draw("picture"), side, (low + high) / 2, height)
    return room.objects
