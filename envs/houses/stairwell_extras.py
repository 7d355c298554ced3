"""What hangs in a stairwell: a lamp above and pictures along the walls."""

from math import pi

from envs.houses.floor_plan import WALL_HEIGHT
from envs.houses.placement import SIDES, Pose
from envs.houses.plan_elements import STOREY_HEIGHT
from envs.houses.room_builder import PICTURE_HEIGHT, PlacedObject, RoomBuilder

_PICTURE_CHANCE = 0.75


def furnish_stairwell(room: RoomBuilder) -> list[PlacedObject]:
    """Furnishes the upper room of a stairwell; the lower one has steps and nothing else."""
    space = room.space
    if space.room.storey == 0:
        return []
    inner = space.inner
    along_x = inner.x1 - inner.x0 >= inner.y1 - inner.y0
    x, y = space.room.centre
    room.put(
        room.draw("ceiling light"),
        Pose(x, y, 0.0 if along_x else pi / 2),
        WALL_HEIGHT,
        blocks=False,
    )
    # At the height of eyes on the landing, halfway between the floors.
    height = PICTURE_HEIGHT - STOREY_HEIGHT / 2
    open_sides = {space.side_of(o) for o in space.openings if o.kind != "window"}
    for side in SIDES:
        if side not in open_sides and room.chance(_PICTURE_CHANCE):
            low, high = space.span(side)
            across = side in ("north", "south")
            is_back = (high - low < 2.5) if across == along_x else False
            z = height if is_back else height + 0.5
            room.hang(room.draw("picture"), side, (low + high) / 2, z)
    return room.objects
