"""The kitchen: one unbroken run of units along a wall, cabinets and hood above, the fridge."""

from typing import NamedTuple

from envs.houses.furniture import Item
from envs.houses.placement import SIDES, Box, footprint, front_box
from envs.houses.room_builder import FRONT_SPACE, RoomBuilder

PROBE_WIDTH = 0.2
LONGEST_RUN = 4.2
NARROWEST_COUNTER = 0.35
WIDEST_COUNTER = 1.0
COUNTER_BETWEEN = 0.5  # least worktop between sink and stove
CABINET_BOTTOM = 1.45
HOOD_BOTTOM = 1.6


class Stretch(NamedTuple):
    """A free piece of wall: the wall's name and both ends along it in metres."""

    side: str
    start: float
    end: float


def furnish_kitchen(room: RoomBuilder) -> None:
    """A run with sink and stove along the longest free wall that takes it, and a fridge."""
    sink, stove = room.draw("kitchen sink"), room.draw("stove")
    fridge, hood = room.draw("fridge"), room.draw("range hood")
    unit = room.draw("kitchen counter", width=0.6)
    stretches = _free_stretches(room, (PROBE_WIDTH, unit.size[1], unit.size[2]))
    for with_fridge in (True, False):
        for stretch in stretches:
            for row in _rows(room, stretch, [sink, stove], fridge if with_fridge else None):
                if _place_row(room, stretch.side, row, hood):
                    _hang_cabinets(room, stretch.side, row)
                    if not with_fridge and room.against_wall(fridge, where="corner") is None:
                        room.missing.append("fridge")
                    _second_run(room)
                    return
    room.missing += ["kitchen sink", "stove", "range hood"]


def _free_stretches(room: RoomBuilder, size: tuple[float, float, float]) -> list[Stretch]:
    """Pieces of wall free for units of this depth and height, the longest first."""
    found: list[Stretch] = []
    front = FRONT_SPACE["kitchen counter"]
    for side in SIDES:
        low, high = room.space.span(side)
        start, along = None, low + 0.02 + PROBE_WIDTH / 2
        while along < high + PROBE_WIDTH:
            pose = room.space.wall_pose(side, along, size[1] / 2 + 0.02)
            if room.space.fits(footprint(size, pose), size[2], front_box(size, pose, front)):
                start = along - PROBE_WIDTH / 2 if start is None else start
            elif start is not None:
                found.append(Stretch(side, start, along - 0.05 + PROBE_WIDTH / 2))
                start = None
            along += 0.05
    return sorted(found, key=lambda s: s.start - s.end)


Row = list[tuple[float, Item]]  # middle along the wall in metres, and the item


def _rows(
    room: RoomBuilder, stretch: Stretch, pieces: list[Item], fridge: Item | None
) -> list[Row]:
    """Ways to fill a stretch: sink and stove in both orders, the fridge at either end or absent."""
    length = min(stretch.end - stretch.start, LONGEST_RUN)
    fixed = sum(p.size[0] for p in pieces) + (fridge.size[0] if fridge else 0.0)
    spare = length - fixed
    if spare < COUNTER_BETWEEN:
        return []
    rows = []
    for first, second in room.shuffled((pieces, pieces[::-1])):
        between = min(max(COUNTER_BETWEEN, 0.4 * spare), 1.2)
        rest = spare - between
        # One end gets the rest where two would be slivers.
        for share in (0.5, 1.0, 0.0) if rest >= 2 * NARROWEST_COUNTER else (1.0, 0.0):
            body: list[Item | float] = [rest * share, first, between, second, rest * (1 - share)]
            if fridge is None:
                rows.append(_lay_out(room, stretch.start, body))
                rows.append(_lay_out(room, stretch.end - length, body))
            else:
                rows.append(_lay_out(room, stretch.start, [fridge, *body]))
                rows.append(_lay_out(room, stretch.end - length, [*body, fridge]))
    return rows


def _lay_out(room: RoomBuilder, start: float, body: list[Item | float]) -> Row:
    """Middles of the items of a row; a number is a length of worktop to be filled with counters."""
    row: Row = []
    for piece in body:
        if isinstance(piece, Item):
            row.append((start + piece.size[0] / 2, piece))
            start += piece.size[0]
            continue
        if piece >= NARROWEST_COUNTER:
            count = max(1, round(piece / 0.8))
            for k in range(count):
                counter = room.draw("kitchen counter", width=piece / count)
                row.append((start + (k + 0.5) * piece / count, counter))
        start += piece
    return row


def _place_row(room: RoomBuilder, side: str, row: Row, hood: Item) -> bool:
    """Put a row of units against a wall if all of it and the hood above the stove fit."""
    poses = [room.space.wall_pose(side, along, item.size[1] / 2 + 0.02) for along, item in row]
    boxes: list[Box] = []
    for pose, (_, item) in zip(poses, row, strict=True):
        box = footprint(item.size, pose)
        front = front_box(item.size, pose, FRONT_SPACE[item.category])
        if not room.space.fits(box, item.size[2], front, gap=0.0):
            return False
        boxes.append(box)
    if not room.space.stays_walkable(boxes):
        return False
    at_stove = next(along for along, item in row if item.category == "stove")
    if not room.hang(hood, side, at_stove, HOOD_BOTTOM + hood.size[2] / 2, margin=0.0):
        return False
    for pose, (_, item) in zip(poses, row, strict=True):
        room.put(item, pose)
    return True


def _hang_cabinets(room: RoomBuilder, side: str, row: Row) -> None:
    """Cabinets above the worktop wherever no window or hood is in the way."""
    hung = 0
    for along, item in row:
        if item.category in ("kitchen counter", "kitchen sink"):
            cabinet = room.draw("kitchen cabinet", width=item.size[0])
            z = CABINET_BOTTOM + cabinet.size[2] / 2
            hung += room.hang(cabinet, side, along, z, margin=0.0)
    for _ in range(8):
        if hung:
            return
        other = room.shuffled(SIDES)[0]
        low, high = room.space.span(other)
        cabinet = room.draw("kitchen cabinet", width=0.8)
        z = CABINET_BOTTOM + cabinet.size[2] / 2
        hung += room.hang(cabinet, other, float(room.rng.uniform(low + 0.5, high - 0.5)), z)
    if not hung:
        room.missing.append("kitchen cabinet")


def _second_run(room: RoomBuilder) -> None:
    """A shorter counter on another wall of a large kitchen, with a cabinet above it."""
    for width in (1.8, 1.2):
        counter = room.draw("kitchen counter", width=width)
        pose = room.against_wall(counter)
        if pose is None:
            continue
        side = room.space.side_behind(pose)
        along = room.space.along(side, pose)
        cabinet = room.draw("kitchen cabinet", width=width)
        room.hang(cabinet, side, along, CABINET_BOTTOM + cabinet.size[2] / 2, margin=0.0)
        return
