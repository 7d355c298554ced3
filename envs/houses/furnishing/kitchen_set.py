"""Furnishing of a kitchen: a continuous run of units, cabinets and hood above, and a fridge."""

from collections.abc import Iterator
from typing import NamedTuple

from clipnav.envs.houses.furnishing.placement import SIDES, WALL_GAP, footprint, front_box
from clipnav.envs.houses.furnishing.room_builder import FRONT_SPACE, RoomBuilder
from clipnav.envs.houses.furniture import Item

PROBE_WIDTH = 0.2
LONGEST_RUN = 4.2
NARROWEST_COUNTER = 0.45
WIDEST_COUNTER = 0.8
COUNTER_BETWEEN = 0.5  # minimum worktop between sink and stove
CABINET_BOTTOM = 1.45
HOOD_BOTTOM = 1.6


class Stretch(NamedTuple):
    """A free piece of wall: name of the wall and both ends along it in metres."""

    side: str
    start: float
    end: float


def furnish_kitchen(room: RoomBuilder) -> None:
    """Place a run with sink and stove along the longest suitable wall, and a fridge."""
    sink, stove = room.draw("kitchen sink"), room.draw("stove")
    fridge, hood = room.draw("fridge"), room.draw("range hood")
    unit = room.draw("kitchen counter", width=0.6)
    is_fridge_apart = room.chance(0.3) and room.against_wall(fridge, "corner") is not None
    deepest = max(unit.size[1], sink.size[1], stove.size[1])
    stretches = _free_stretches(room, (PROBE_WIDTH, deepest, unit.size[2]))
    for fridge_in_row in (None,) if is_fridge_apart else (fridge, None):
        for stretch in stretches:
            for row in _rows(room, stretch, [sink, stove], fridge_in_row, unit):
                if _place_row(room, stretch.side, row, hood):
                    if fridge_in_row is None and not is_fridge_apart:
                        if not room.against_wall(fridge, "corner"):
                            room.missing.append("fridge")
                    _hang_cabinets(room, stretch.side, row)
                    _second_run(room)
                    return
    room.missing += ["kitchen sink", "stove", "range hood"]


def _free_stretches(room: RoomBuilder, size: tuple[float, float, float]) -> list[Stretch]:
    """Return the pieces of wall that are free for units of this size, the longest first."""
    stretches: list[Stretch] = []
    front = FRONT_SPACE["kitchen counter"]
    for side in SIDES:
        low, high = room.space.span(side)
        start, along = None, low + 0.02 + PROBE_WIDTH / 2
        while along < high + PROBE_WIDTH:
            pose = room.space.wall_pose(side, along, size[1] / 2 + WALL_GAP)
            if room.space.fits(footprint(size, pose), size[2], front_box(size, pose, front)):
                start = along - PROBE_WIDTH / 2 if start is None else start
            elif start is not None:
                stretches.append(Stretch(side, start, along - 0.05 + PROBE_WIDTH / 2))
                start = None
            along += 0.05
    return sorted(stretches, key=lambda s: s.start - s.end)


class Unit(NamedTuple):
    """One unit of a row: its middle along the wall and its size in metres."""

    along: float
    size: tuple[float, float, float]
    item: Item | None  # None for a counter, which is built once the row fits


def _rows(
    room: RoomBuilder, stretch: Stretch, pieces: list[Item], fridge: Item | None, counter: Item
) -> Iterator[list[Unit]]:
    """Yield ways to fill a stretch: sink and stove in both orders, a fridge at either end."""
    length = min(stretch.end - stretch.start, LONGEST_RUN)
    fixed = sum(p.size[0] for p in pieces) + (fridge.size[0] if fridge else 0.0)
    spare = length - fixed
    if spare < COUNTER_BETWEEN:
        return
    between = min(max(COUNTER_BETWEEN, 0.4 * spare), 1.2)
    rest = spare - between
    # One end gets the whole rest if two parts would be too narrow.
    shares = (0.5, 1.0, 0.0) if rest >= 2 * NARROWEST_COUNTER else (1.0, 0.0)
    for first, second in room.shuffled((pieces, pieces[::-1])):
        for share in shares:
            body: list[Item | float] = [rest * share, first, between, second, rest * (1 - share)]
            at_start, at_end = (
                (body, body) if fridge is None else ([fridge, *body], [*body, fridge])
            )
            yield _lay_out(stretch.start, at_start, counter)
            yield _lay_out(stretch.end - length, at_end, counter)


def _lay_out(start: float, body: list[Item | float], counter: Item) -> list[Unit]:
    """Return the units of a row; numbers in `body` are lengths of worktop to fill with counters."""
    row: list[Unit] = []
    for piece in body:
        if isinstance(piece, Item):
            row.append(Unit(start + piece.size[0] / 2, piece.size, piece))
            start += piece.size[0]
            continue
        if piece >= NARROWEST_COUNTER:
            count = max(1, round(piece / WIDEST_COUNTER))
            size = (piece / count, *counter.size[1:])
            row += [Unit(start + (k + 0.5) * size[0], size, None) for k in range(count)]
        start += piece
    return row


def _place_row(room: RoomBuilder, side: str, row: list[Unit], hood: Item) -> bool:
    """Place a row of units at a wall if the row and the hood above the stove fit."""
    poses = [room.space.wall_pose(side, unit.along, unit.size[1] / 2 + WALL_GAP) for unit in row]
    boxes = [footprint(unit.size, pose) for unit, pose in zip(row, poses, strict=True)]
    for unit, pose, box in zip(row, poses, boxes, strict=True):
        front = front_box(unit.size, pose, FRONT_SPACE["kitchen counter"])
        if not room.space.fits(box, unit.size[2], front, gap=0.0):
            return False
    if not room.space.stays_walkable(boxes):
        return False
    at_stove = next(u.along for u in row if u.item and u.item.category == "stove")
    if not room.hang(hood, side, at_stove, HOOD_BOTTOM + hood.size[2] / 2, margin=0.0):
        return False
    for unit, pose in zip(row, poses, strict=True):
        room.put(unit.item or room.draw("kitchen counter", width=unit.size[0]), pose)
    return True


def _hang_cabinets(room: RoomBuilder, side: str, row: list[Unit]) -> None:
    """Hang cabinets above the worktop wherever there is no window or hood."""
    hung = 0
    for unit in row:
        if unit.item is None or unit.item.category == "kitchen sink":
            cabinet = room.draw("kitchen cabinet", width=unit.size[0])
            z = CABINET_BOTTOM + cabinet.size[2] / 2
            hung += room.hang(cabinet, side, unit.along, z, margin=0.0)
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
    """Place a shorter counter with a cabinet above it at another wall of a large kitchen."""
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
