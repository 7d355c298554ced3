"""Required furniture of each kind of room."""

from collections.abc import Callable, Iterator
from math import pi
from typing import Any, NamedTuple

import numpy as np

from clipnav.envs.houses.furnishing.placement import SIDES, WALL_GAP, ItemPose, footprint, front_box
from clipnav.envs.houses.furnishing.room_builder import FRONT_SPACE, RoomBuilder
from clipnav.envs.houses.furniture import Item

_PROBE_WIDTH = 0.2
LONGEST_RUN = 4.2
_NARROWEST_COUNTER = 0.45
_WIDEST_COUNTER = 0.8
_COUNTER_BETWEEN = 0.5  # minimum worktop between sink and stove
_CABINET_BOTTOM = 1.45
_HOOD_BOTTOM = 1.6
_SHELVES_OF_LIBRARY = 3
_FEWEST_SEATS = 4
_NEAREST_TELEVISION = 2.05  # minimum distance in metres between centres of sofa and television


class CounterRun(NamedTuple):
    """A free piece of wall: name of the wall and both ends along it in metres."""

    side: str
    start: float
    end: float


def _furnish_kitchen(room: RoomBuilder) -> None:
    """Place a run with sink and stove along the longest suitable wall, and a fridge."""
    sink, stove = room.draw("kitchen sink"), room.draw("stove")
    fridge, hood = room.draw("fridge"), room.draw("range hood")
    unit = room.draw("kitchen counter", width=0.6)
    is_fridge_apart = room.chance(0.3) and room.against_wall(fridge, "corner") is not None
    deepest = max(unit.size[1], sink.size[1], stove.size[1])
    runs = _free_runs(room, (_PROBE_WIDTH, deepest, unit.size[2]))
    for fridge_in_row in (None,) if is_fridge_apart else (fridge, None):
        for run in runs:
            for row in _rows(room, run, [sink, stove], fridge_in_row, unit):
                if _place_row(room, run.side, row, hood):
                    if fridge_in_row is None and not is_fridge_apart:
                        if not room.against_wall(fridge, "corner"):
                            room.missing.append("fridge")
                    _hang_cabinets(room, run.side, row)
                    _second_run(room)
                    return
    room.missing += ["kitchen sink", "stove", "range hood"]


def _free_runs(room: RoomBuilder, size: tuple[float, float, float]) -> list[CounterRun]:
    """Return the pieces of wall that are free for units of this size, the longest first."""
    runs: list[CounterRun] = []
    front = FRONT_SPACE["kitchen counter"]
    for side in SIDES:
        low, high = room.space.span(side)
        start, along = None, low + 0.02 + _PROBE_WIDTH / 2
        while along < high + _PROBE_WIDTH:
            pose = room.space.wall_pose(side, along, size[1] / 2 + WALL_GAP)
            if room.space.fits(footprint(size, pose), size[2], front_box(size, pose, front)):
                start = along - _PROBE_WIDTH / 2 if start is None else start
            elif start is not None:
                runs.append(CounterRun(side, start, along - 0.05 + _PROBE_WIDTH / 2))
                start = None
            along += 0.05
    return sorted(runs, key=lambda s: s.start - s.end)


class Unit(NamedTuple):
    """One unit of a row: its middle along the wall and its size in metres."""

    along: float
    size: tuple[float, float, float]
    item: Item | None  # None for a counter, which is built once the row fits


def _rows(
    room: RoomBuilder, run: CounterRun, pieces: list[Item], fridge: Item | None, counter: Item
) -> Iterator[list[Unit]]:
    """Yield ways to fill a run: sink and stove in both orders, a fridge at either end."""
    length = min(run.end - run.start, LONGEST_RUN)
    fixed = sum(p.size[0] for p in pieces) + (fridge.size[0] if fridge else 0.0)
    spare = length - fixed
    if spare < _COUNTER_BETWEEN:
        return
    between = min(max(_COUNTER_BETWEEN, 0.4 * spare), 1.2)
    rest = spare - between
    # One end gets the whole rest if two parts would be too narrow.
    shares = (0.5, 1.0, 0.0) if rest >= 2 * _NARROWEST_COUNTER else (1.0, 0.0)
    for first, second in room.shuffled((pieces, pieces[::-1])):
        for share in shares:
            body: list[Item | float] = [rest * share, first, between, second, rest * (1 - share)]
            at_start, at_end = (
                (body, body) if fridge is None else ([fridge, *body], [*body, fridge])
            )
            yield _lay_out(run.start, at_start, counter)
            yield _lay_out(run.end - length, at_end, counter)


def _lay_out(start: float, body: list[Item | float], counter: Item) -> list[Unit]:
    """Return the units of a row; numbers in `body` are lengths of worktop to fill with counters."""
    row: list[Unit] = []
    for piece in body:
        if isinstance(piece, Item):
            row.append(Unit(start + piece.size[0] / 2, piece.size, piece))
            start += piece.size[0]
            continue
        if piece >= _NARROWEST_COUNTER:
            count = max(1, round(piece / _WIDEST_COUNTER))
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
    if not room.hang(hood, side, at_stove, _HOOD_BOTTOM + hood.size[2] / 2, margin=0.0):
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
            z = _CABINET_BOTTOM + cabinet.size[2] / 2
            hung += room.hang(cabinet, side, unit.along, z, margin=0.0)
    for _ in range(8):
        if hung:
            return
        other = room.shuffled(SIDES)[0]
        low, high = room.space.span(other)
        cabinet = room.draw("kitchen cabinet", width=0.8)
        z = _CABINET_BOTTOM + cabinet.size[2] / 2
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
        room.hang(cabinet, side, along, _CABINET_BOTTOM + cabinet.size[2] / 2, margin=0.0)
        return


def _furnish_living_room(room: RoomBuilder) -> None:
    """Place a sofa that faces the television, a rug, a coffee table and armchairs."""
    sofa, tv = room.draw("sofa", seats=3 - room.chance(0.35)), room.draw("tv stand")
    pair = _facing_pair(room, sofa, tv)
    if pair is None:
        room.missing += ["sofa", "tv stand"]
        return
    sofa_pose, tv_pose = pair
    room.put(sofa, sofa_pose)
    room.put(tv, tv_pose)
    table = room.draw("coffee table")
    distance = sofa.size[1] / 2 + 0.38 + table.size[1] / 2
    table_pose = sofa_pose.front(distance)
    if not room.try_put(table, table_pose, tucked=True):
        room.missing.append("coffee table")
    _ = room.lay_rug(table_pose) or room.lay_rug(table_pose, width=1.6, depth=1.1)
    for side in room.shuffled((-1, 1))[: 1 + room.chance(0.5)]:
        chair = room.draw("armchair")
        reach = table.size[0] / 2 + 0.4 + chair.size[1] / 2
        # An armchair at the table's end faces the table.
        pose = table_pose.aside(side * reach, turn=-side * pi / 2)
        if not room.try_put(chair, pose, tucked=True):
            room.against_wall(chair, where="corner")


def _facing_pair(room: RoomBuilder, sofa: Any, tv: Any) -> tuple[ItemPose, ItemPose] | None:
    """Return poses of a sofa and a television that face each other, the television at a wall."""
    for tv_pose in room.poses(tv):
        box = footprint(tv.size, tv_pose)
        inner = room.space.inner
        along_y = abs(np.cos(tv_pose.angle)) > 0.5
        length = inner.y1 - inner.y0 if along_y else inner.x1 - inner.x0
        near = (
            min(abs(tv_pose.y - inner.y0), abs(inner.y1 - tv_pose.y))
            if along_y
            else min(abs(tv_pose.x - inner.x0), abs(inner.x1 - tv_pose.x))
        )
        at_wall = length - near - 0.02 - sofa.size[1] / 2
        afloat = [d for d in room.rng.uniform(2.05, 3.1, 3) if d < at_wall - 0.4]
        # At the wall, or slightly in front of it because of a curtain.
        backed = [at_wall, at_wall - 0.22]
        for distance in [*afloat, *backed] if at_wall > 3.9 else [*backed, *afloat]:
            if distance < _NEAREST_TELEVISION:
                continue
            for shift in room.shuffled((0.0, 0.2, -0.2, 0.4, -0.4, 0.6, -0.6)):
                pose = tv_pose.front(distance).aside(shift, turn=pi)
                sofa_box = footprint(sofa.size, pose)
                fits = room.space.fits(sofa_box, sofa.size[2])
                if fits and room.space.stays_walkable([box, sofa_box]):
                    return pose, tv_pose
    return None


def _furnish_dining_room(room: RoomBuilder) -> None:
    """Place a table near the centre of the room with chairs around it."""
    inner = room.space.inner
    length, breadth = inner.x1 - inner.x0, inner.y1 - inner.y0
    widest = float(np.clip(max(length, breadth) - 2.4, 1.2, 2.0))
    table = room.draw("dining table", width=round(float(room.rng.uniform(1.2, widest)), 1))
    chair = room.draw("chair")
    turns = (0.0, pi / 2) if length >= breadth else (pi / 2, 0.0)
    for dx, dy in [(0.0, 0.0), *room.rng.uniform(-0.2, 0.2, (16, 2))]:
        for turn in turns:
            x = (inner.x0 + inner.x1) / 2 + float(dx) * length
            pose = ItemPose(x, (inner.y0 + inner.y1) / 2 + float(dy) * breadth, turn)
            seats = _free_seats(room, table, chair, pose)
            if len(seats) >= _FEWEST_SEATS:
                room.lay_rug(pose, width=table.size[0] + 1.2, depth=table.size[1] + 1.2)
                room.put(table, pose)
                for seat in seats:
                    room.put(chair, seat)
                return
    room.missing += ["dining table", "chair"]


def _free_seats(room: RoomBuilder, table: Item, chair: Item, pose: ItemPose) -> list[ItemPose]:
    """Return free chair poses around a table; none if the table does not fit at the pose."""
    box = footprint(table.size, pose)
    if not room.space.fits(box, table.size[2], gap=0.4):
        return []
    seats = [
        seat
        for seat in _seats(pose, table.size, chair.size)
        if room.space.fits(footprint(chair.size, seat), chair.size[2])
    ]
    boxes = [box, *(footprint(chair.size, seat) for seat in seats)]
    return seats if room.space.stays_walkable(boxes) else []


def _seats(
    table: ItemPose, size: tuple[float, float, float], chair: tuple[float, float, float]
) -> list[ItemPose]:
    """Return poses of chairs around a table, facing it and slightly tucked under it."""
    tuck = 0.12
    across, along = size[1] / 2 + chair[1] / 2 - tuck, size[0] / 2 + chair[1] / 2 - tuck
    per_side = max(1, int(size[0] // 0.62))
    offsets = (np.arange(per_side) - (per_side - 1) / 2) * size[0] / per_side
    seats = [
        table.front(-s * across, 0.0 if s > 0 else pi).aside(float(o) * s)
        for s in (1, -1)
        for o in offsets
    ]
    return seats + [table.aside(s * along, -s * pi / 2) for s in (1, -1)]


def _furnish_bathroom(room: RoomBuilder) -> None:
    """Place a bathtub or shower, a toilet, and a washbasin below a mirror."""
    bath = room.draw("bathtub") if room.chance(0.6) else room.draw("shower")
    if room.against_wall(bath, where="corner") is None:
        room.require("shower" if bath.category == "bathtub" else "bathtub", where="corner")
    basin, mirror = room.draw("washbasin"), room.draw("mirror")
    for pose in room.poses(basin):
        side = room.space.side_behind(pose)
        along = room.space.along(side, pose)
        if room.space.stays_walkable([footprint(basin.size, pose)]) and room.hang(
            mirror, side, along, 1.5
        ):
            room.put(basin, pose)
            break
    else:
        room.missing += ["washbasin", "mirror"]
    room.require("toilet")


def _furnish_bedroom(room: RoomBuilder) -> None:
    """Place a double bed with nightstands and a wardrobe."""
    bed = room.draw("bed", double=True)
    stand = room.draw("nightstand")
    offset = bed.size[0] / 2 + 0.06 + stand.size[0] / 2
    back = (bed.size[1] - stand.size[1]) / 2

    def stands(pose: ItemPose) -> list[ItemPose]:
        sides = (pose.front(-back).aside(s * offset) for s in (1, -1))
        return [s for s in sides if room.space.fits(footprint(stand.size, s), stand.size[2])]

    poses = [p for p in room.poses(bed) if room.space.stays_walkable([footprint(bed.size, p)])]
    # Prefer two nightstands to one, but not if the wardrobe would then not fit.
    poses.sort(key=lambda p: -len(stands(p)) + 1.5 * room.rng.random())
    if not poses or not stands(poses[0]):
        room.missing += ["bed", "nightstand"]
        return
    room.put(bed, poses[0])
    for pose in stands(poses[0]):
        room.try_put(stand, pose, tucked=True)
    if room.against_wall(room.draw("wardrobe")) is None:
        if room.against_wall(room.draw("dresser")) is None:
            room.against_wall(room.draw("wardrobe", width=1.0))
    room.lay_rug(poses[0].front(0.75, turn=pi / 2 * room.chance(0.3)))


def _furnish_kids_bedroom(room: RoomBuilder) -> None:
    """Place a single bed in a corner, toys and a desk."""
    bed = room.draw("bed", double=False)
    if room.against_wall(bed, where="corner") is None and room.against_wall(bed) is None:
        room.missing.append("bed")
    room.require("toy chest")
    _desk_with_chair(room, "chair")
    inner = room.space.inner
    middle = ItemPose((inner.x0 + inner.x1) / 2, (inner.y0 + inner.y1) / 2, 0.0)
    room.lay_rug(middle)


def _desk_with_chair(room: RoomBuilder, chair_category: str, required: bool = False) -> None:
    desk, chair = room.draw("desk"), room.draw(chair_category)
    for pose in room.poses(desk):
        seat = pose.front(desk.size[1] / 2 + chair.size[1] / 2 - 0.1, turn=pi)
        boxes = [footprint(desk.size, pose), footprint(chair.size, seat)]
        if room.space.fits(boxes[1], chair.size[2]) and room.space.stays_walkable(boxes):
            room.put(desk, pose)
            room.put(chair, seat)
            return
    if required:
        room.missing += ["desk", chair_category]


def _furnish_office(room: RoomBuilder) -> None:
    """Place a desk with its chair and a bookshelf."""
    _desk_with_chair(room, "office chair", required=True)
    room.require("bookshelf")


def _furnish_library(room: RoomBuilder) -> None:
    """Place bookshelves along the walls and an armchair."""
    room.require("armchair", where="corner")
    for _ in range(_SHELVES_OF_LIBRARY):
        room.require("bookshelf")
    for _ in range(3):
        room.against_wall(room.draw("bookshelf"))
    inner = room.space.inner
    room.lay_rug(ItemPose((inner.x0 + inner.x1) / 2, (inner.y0 + inner.y1) / 2, 0.0))


def _furnish_laundry_room(room: RoomBuilder) -> None:
    """Place two washing machines side by side and a laundry basket."""
    machine = room.draw("washing machine")
    pose = room.against_wall(machine)
    if pose is None:
        room.missing.append("washing machine")
    else:
        for side in room.shuffled((1, -1)):
            if room.try_put(machine, pose.aside(side * (machine.size[0] + 0.055)), tucked=True):
                break
    room.require("laundry basket")


def _furnish_gym(room: RoomBuilder) -> None:
    """Place a treadmill, dumbbells and a ball."""
    room.require("treadmill")
    room.require("dumbbell rack")
    room.require("exercise ball")


def _furnish_closet(room: RoomBuilder) -> None:
    """Place wardrobes and a shoe rack."""
    room.require("wardrobe")
    if room.against_wall(room.draw("wardrobe")) is None:
        room.require(room.shuffled(("wardrobe", "dresser"))[0])
    room.against_wall(room.draw("wardrobe"))
    room.require("shoe rack")


def _furnish_music_room(room: RoomBuilder) -> None:
    """Place a piano, chairs for an audience, and a guitar."""
    piano = room.draw("piano")
    pose = room.against_wall(piano, where="middle") or room.against_wall(piano)
    if pose is None:
        room.missing.append("piano")
        return
    chair = room.draw("chair")
    row = pose.front(piano.size[1] / 2 + 1.2, turn=pi)
    for offset in (-0.65, 0.0, 0.65):
        room.try_put(chair, row.aside(offset))
    room.require("guitar")


def _furnish_hallway(room: RoomBuilder) -> None:
    """Place a coat rack and shoes or a bench near an entrance, and rugs along the hall."""
    entrance = next((o.centre for o in room.space.openings if o.kind == "entrance"), None)
    if entrance is not None:
        room.against_wall(room.draw("coat rack"), near=entrance)
        second = "shoe rack" if room.chance(0.5) else "entrance bench"
        room.against_wall(room.draw(second), near=entrance)
    for pose in room.space.in_row(2):
        room.lay_rug(pose, width=2.2, depth=0.9)


FURNISHERS: dict[str, Callable[[RoomBuilder], None]] = {
    "hallway": _furnish_hallway,
    "landing": _furnish_hallway,
    "living room": _furnish_living_room,
    "kitchen": _furnish_kitchen,
    "dining room": _furnish_dining_room,
    "bathroom": _furnish_bathroom,
    "bedroom": _furnish_bedroom,
    "kid's bedroom": _furnish_kids_bedroom,
    "office": _furnish_office,
    "library": _furnish_library,
    "laundry room": _furnish_laundry_room,
    "gym": _furnish_gym,
    "closet": _furnish_closet,
    "music room": _furnish_music_room,
}
