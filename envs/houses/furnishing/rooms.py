"""Furnishing of a whole floor plan, room by room."""

import logging
from math import radians

import numpy as np

from clipnav.envs.houses.furnishing.placement import SIDES, Pose
from clipnav.envs.houses.furnishing.room_builder import (
    PICTURE_HEIGHT,
    FurnishingState,
    PlacedObject,
    RoomBuilder,
)
from clipnav.envs.houses.furnishing.room_extras import (
    add_extras,
    decorate_walls,
    hang_ceiling_lights,
    hang_curtains,
)
from clipnav.envs.houses.furnishing.room_sets import FURNISHERS
from clipnav.envs.houses.furniture import Item, make_item
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.plan.elements import STAIRWELL, STOREY_HEIGHT
from clipnav.envs.houses.plan.floor_plan import WALL_HALF_THICKNESS, WALL_HEIGHT, FloorPlan, Opening

logger = logging.getLogger(__name__)

__all__ = ["PlacedObject", "furnish"]

_PICTURE_CHANCE = 0.75  # of a wall of a stairwell
ROOM_ATTEMPTS = 40
STOCK_ATTEMPTS = 6
JAMB = 0.03  # width of a door frame on each side of the leaf
LEAF_THRESHOLD = 0.01


def furnish(
    plan: FloorPlan,
    rng: np.random.Generator,
    style: Style,
    scan: str = "a house",
) -> list[PlacedObject]:
    """Place furniture, doors, curtains, pictures and lamps of a whole house.

    Every room gets its required furniture, then optional objects as long as the floor stays
    walkable. Objects on the floor do not overlap, except chairs under tables. If a room is too
    small for its required furniture, the rest is left out with a warning.
    """
    state = FurnishingState(plan, rng, style, scan)
    state.doors += _hang_doors(plan, rng, style)
    objects = list(state.doors)
    for room in plan.rooms:
        if room.kind == STAIRWELL:
            objects += _furnish_stairwell(RoomBuilder(state, room.index))
            continue
        placed = _furnish_room(state, room.index)
        state.seen |= {(o.item.category, o.item.colour) for o in placed}
        state.triangles += sum(o.triangles for o in placed)
        objects += placed
    return objects


def _furnish_room(state: FurnishingState, room_index: int) -> list[PlacedObject]:
    """Return the first attempt at a room with all required furniture, or else the best one."""
    kind = state.plan.rooms[room_index].kind
    best: RoomBuilder | None = None
    for attempt in range(ROOM_ATTEMPTS):
        if attempt % STOCK_ATTEMPTS == 0:
            state.stock.clear()  # items of other sizes may fit
        room = RoomBuilder(state, room_index)
        hang_curtains(room)
        FURNISHERS[kind](room)
        if best is None or len(room.missing) < len(best.missing):
            best = room
        if not room.missing:
            break
        room.return_unplaced()
    assert best is not None
    if best.missing:
        missing = ", ".join(best.missing)
        logger.warning(
            "%s: room %d (%s) has no space for: %s; try another plan seed in sets.py",
            *(state.scan, room_index, kind, missing),
        )
    add_extras(best)
    decorate_walls(best)
    hang_ceiling_lights(best)
    best.return_unplaced()
    return best.objects


def _hang_doors(plan: FloorPlan, rng: np.random.Generator, style: Style) -> list[PlacedObject]:
    """Return the leaves of all inner doors, wide open, with one design per house."""
    doors: list[PlacedObject] = []
    item: Item | None = None
    for opening in plan.openings:
        if opening.kind != "door":
            continue
        if item is None:
            size = {"width": opening.width - 2 * JAMB, "height": opening.top - 0.03}
            item = make_item("door", rng, style, **size)
        pose = _leaf_pose(plan, opening, item, radians(float(rng.uniform(87.0, 90.0))))
        position = (pose.x, pose.y, LEAF_THRESHOLD + opening.floor)
        doors.append(PlacedObject(item, opening.swing_room, position, pose.angle, True))
    return doors


def _leaf_pose(plan: FloorPlan, opening: Opening, leaf: Item, opened: float) -> Pose:
    """Return the pose of a leaf on its hinge, `opened` radians from closed, in the swing room."""
    room = plan.rooms[opening.swing_room]
    low = room.y0 if opening.axis == "x" else room.x0
    into = 1.0 if opening.position == low else -1.0  # direction into the room across the wall
    from_start = opening.hinge == "start"
    along = opening.start if from_start else opening.end
    across = opening.position + into * WALL_HALF_THICKNESS
    # In the frame (along the wall, into the room) the leaf turns from the wall into the room.
    sign = 1.0 if from_start else -1.0
    reach_along = sign * np.cos(opened) * leaf.size[0] / 2
    reach_across = into * np.sin(opened) * leaf.size[0] / 2
    if opening.axis == "x":
        step = np.array([reach_along, reach_across])
        hinge = np.array([along, across])
    else:
        step = np.array([reach_across, reach_along])
        hinge = np.array([across, along])
    x, y = hinge + step
    return Pose(float(x), float(y), float(np.arctan2(step[1], step[0])))


def _furnish_stairwell(room: RoomBuilder) -> list[PlacedObject]:
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
