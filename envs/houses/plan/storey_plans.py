"""Generator of floor plans: one or two storeys over a rectangle, an L or a T.

A plan is a pure function of its seed and options.

All storeys of a house share outline, halls and stairwell; the strips beside the halls are cut into
different rooms on each storey. Lengths are in metres between wall centre lines.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from clipnav.envs.houses.plan.elements import (
    FLIGHT_GAP,
    STAIRWELL,
    WALL_HALF_THICKNESS,
    Opening,
    Room,
    Stairs,
)
from clipnav.envs.houses.plan.floor_plan import FloorPlan, Outline
from clipnav.envs.houses.plan.room_layout import (
    HALL_KINDS,
    KindAssigner,
    Rect,
    fits,
    fits_some,
    random_orientation,
    shared_wall,
    split,
)
from clipnav.envs.houses.plan.room_links import Links, choose_links
from clipnav.envs.houses.plan.wall_openings import (
    ARCH_HEIGHT,
    DOOR_HEIGHT,
    DOOR_WIDTH,
    clashes,
    has_wall_space,
    place_outer_openings,
    place_passages,
)
from clipnav.storage.errors import UserError

# Kind, adjacent kinds, and preferred size: "large", "small" or "any".
RoomNeed = tuple[str, tuple[str, ...], str]

_DAY: tuple[RoomNeed, ...] = (
    ("living room", HALL_KINDS, "large"),
    ("kitchen", ("living room",), "any"),
    ("dining room", ("kitchen", "living room"), "any"),
    ("bathroom", HALL_KINDS, "small"),
)
_NIGHT: tuple[RoomNeed, ...] = (
    ("bedroom", HALL_KINDS, "any"),
    ("bathroom", HALL_KINDS, "small"),
    ("bedroom", HALL_KINDS, "any"),
    ("bedroom", HALL_KINDS, "any"),
)
# Required rooms and kinds of the others of the only storey, of the ground floor and of the upper
# floor; a kind that is listed twice may occur twice. Most kinds occur several times in a house.
_NEEDS = {
    "single": (*_DAY, *_NIGHT),
    "ground": (*_DAY, ("living room", HALL_KINDS, "any")),
    "upper": _NIGHT,
}
_COMMON_POOLS = {
    "single": ("living room", "bedroom", "living room", "bathroom", "bedroom"),
    "ground": ("living room", "living room", "bedroom"),
    "upper": ("bedroom", "living room", "bathroom", "living room"),
}
# Special kinds, and the probability that a house has one if it has a suitable room.
_RARE_KINDS = ("kid's bedroom", "library", "laundry room", "gym", "closet", "music room")
_RARE_CHANCE = 0.25
_WELL_DEPTH = 3.1  # extent of a stairwell along its flights
_RECESS = 0.9  # minimum distance of the wing of a T from both ends
_INNER_START_CHANCE = 0.6  # probability that a hall begins inside, with rooms across its end
FEWEST_ROOMS, MOST_ROOMS = 9, 24  # without stairwells
_PLAN_TAG = 2
_LAYOUT_ATTEMPTS = 4000
_STOREY_ATTEMPTS = 100
_CUT_ATTEMPTS = 12
_OPENING_ATTEMPTS = 4
_MOST_CLOSED_DOORS = 3  # on a storey, besides the cupboard below the stairs
_CLOSED_DOOR_CHANCE = 0.5
_ROOM_AREAS = (18.0, 44.0)  # m2; see `split`
_FALLBACK_PASSAGE_KINDS = frozenset({"bedroom", "office", "gym"})
_JAMB = 0.05  # between the stairs' openings and the walls or the rail beside them


def _floor_type(storey: int, storeys: int) -> str:
    """Return "single", "ground" or "upper"."""
    if storeys == 1:
        return "single"
    return "upper" if storey else "ground"


def _draw_pool(rng: np.random.Generator, floor: str, storeys: int) -> list[str]:
    """Draw the kinds of the optional rooms of a storey, in the order of their assignment."""
    pool = _COMMON_POOLS[floor]
    rare = [kind for kind in _RARE_KINDS if rng.random() < _RARE_CHANCE / storeys]
    return [*rare, *(pool[i] for i in rng.permutation(len(pool))), "office", "office"]


def _assign_storey(
    rng: np.random.Generator, rects: list[Rect], halls: int, storey: int, storeys: int
) -> list[str] | None:
    """Return the kind of each room of a storey, or None if the rooms do not suit."""
    assigner = KindAssigner(rects, {i: HALL_KINDS[storey > 0] for i in range(halls)})
    by_size = sorted(range(halls, len(rects)), key=lambda i: -rects[i].area)
    shuffled = [int(i) for i in rng.permutation(np.arange(halls, len(rects)))]
    orders = {"large": by_size, "small": by_size[::-1], "any": shuffled}
    floor = _floor_type(storey, storeys)
    for kind, beside, order in _NEEDS[floor]:
        if not assigner.assign(kind, beside, orders[order]):
            return None
    left = _draw_pool(rng, floor, storeys)
    for room in shuffled:
        if room not in assigner.kinds:
            kind = next((k for k in left if fits(k, rects[room])), None)
            if kind is None:
                return None
            assigner.kinds[room] = kind
            left.remove(kind)
    return [assigner.kinds[i] for i in range(len(rects))]


@dataclass(frozen=True)
class Shell:
    """The layout that all storeys of a house share.

    Attributes:
        width: Extent along x of the bounding rectangle; one of its corners is the origin.
        depth: Extent along y.
        halls: One hall, or two that meet; a stairwell is at the end of the first.
        strips: Remaining rectangles, to be cut into rooms.
        well: The stairwell, as wide as the first hall; None in a house of one storey.
    """

    width: float
    depth: float
    halls: tuple[Rect, ...]
    strips: tuple[Rect, ...]
    well: Rect | None


def _draw_shell(rng: np.random.Generator, outline: str, storeys: int) -> Shell:
    """Draw the shell of a house."""
    if storeys not in (1, 2):
        raise UserError(f"a house has 1 or 2 storeys, not {storeys}; choose one of these")
    if outline == "rectangle":
        longest = 15.0 if storeys > 1 else 18.5
        length, depth = _uniform(rng, longest - 2.5, longest), _uniform(rng, 11.0, 12.0)
        wing = None
    elif outline in ("l", "t"):
        # With two storeys each is smaller, so that the number of rooms stays that of one house.
        longest = 13.3 if storeys > 1 else 17.0
        length, depth = _uniform(rng, longest - 2.0, longest), _uniform(rng, 10.5, 11.5)
        wing = _wing(rng, outline, length, 5.0 if storeys > 1 else 7.0)
    else:
        raise UserError(f"outline {outline!r} is none of rectangle, l, t; choose one of these")
    hall_width = _uniform(rng, 2.2, 2.4) if storeys > 1 else _uniform(rng, 1.7, 2.1)
    hall_y = round(_uniform(rng, 0.39, 0.46) * depth, 1)
    # A wing and stairs leave no room for a hall that begins inside.
    inner = rng.random() < _INNER_START_CHANCE and (wing is None or storeys == 1)
    start = round(_uniform(rng, 0.25, 0.36 if wing is None else 0.3) * length, 1) if inner else 0.0
    hall = Rect(start, hall_y, length, hall_y + hall_width)
    well = None
    if storeys > 1:
        well = hall._replace(x1=start + _WELL_DEPTH)
        hall = hall._replace(x0=start + _WELL_DEPTH)
    strips = [Rect(0.0, 0.0, length, hall_y)]
    if inner:
        strips.append(Rect(0.0, hall_y, start, depth))
    halls = [hall]
    upper = Rect(start, hall.y1, length, depth)
    if wing is None:
        strips.append(upper)
    else:
        halls.append(wing._replace(y0=hall.y1, y1=depth + wing.y1))
        strips += _beside_wing(rng, outline, upper, halls[1])
        depth += wing.y1
    return _oriented(rng, Shell(length, depth, tuple(halls), tuple(strips), well))


def _wing(rng: np.random.Generator, outline: str, length: float, longest: float) -> Rect:
    """Return the hall of a wing: x0 and x1 on the main block, and its length as y1."""
    width, reach = _uniform(rng, 1.7, 2.0), _uniform(rng, 3.8, longest)
    if outline == "l":  # rooms on one side, windows on the other
        start = length - _uniform(rng, 4.0, 5.2) - width
    else:
        start = round(_uniform(rng, 0.46, 0.54) * length, 1)
    return Rect(start, 0.0, start + width, reach)


def _beside_wing(rng: np.random.Generator, outline: str, upper: Rect, hall: Rect) -> list[Rect]:
    """Return the strips beside the hall of a wing, which crosses the strip `upper`."""
    left = upper._replace(x1=hall.x0)
    right = upper._replace(x0=hall.x1)
    if outline == "l":
        return [left, right._replace(y1=hall.y1)]
    breadths = [
        round(min(_uniform(rng, 2.9, 3.8), side.x1 - side.x0 - _RECESS), 1)
        for side in (left, right)
    ]
    return [
        left,
        right,
        Rect(hall.x0 - breadths[0], upper.y1, hall.x0, hall.y1),
        Rect(hall.x1, upper.y1, hall.x1 + breadths[1], hall.y1),
    ]


def _oriented(rng: np.random.Generator, shell: Shell) -> Shell:
    """Mirror and transpose at random; see `random_orientation`."""
    halls, strips = len(shell.halls), len(shell.strips)
    rects = [*shell.halls, *shell.strips, *([shell.well] if shell.well else [])]
    width, depth, rects = random_orientation(rng, shell.width, shell.depth, rects)
    return Shell(
        round(width, 3),
        round(depth, 3),
        tuple(rects[:halls]),
        tuple(rects[halls : halls + strips]),
        rects[-1] if shell.well else None,
    )


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number between two limits, rounded to tenths (to hundredths if `high` is below 1)."""
    return round(float(rng.uniform(low, high)), 2 if high < 1 else 1)


def make_floor_plan(
    plan_seed: int, outline: Outline = "rectangle", storeys: int = 1, open_plan: bool = False
) -> FloorPlan:
    """Return the floor plan of a house in which every room is reachable."""
    for attempt in range(_LAYOUT_ATTEMPTS):
        rng = np.random.default_rng([plan_seed, _PLAN_TAG, attempt])
        shell = _draw_shell(rng, outline, storeys)
        rooms: list[Room] = []
        openings: list[Opening] = []
        for storey in range(storeys):
            drawn = _draw_storey(rng, shell, storey, storeys, len(rooms), open_plan)
            if drawn is None:
                break
            rooms += drawn[0]
            openings += drawn[1]
        else:
            count = sum(room.kind != STAIRWELL for room in rooms)
            if FEWEST_ROOMS <= count <= MOST_ROOMS:
                stairs = _stairs(rng, shell, rooms) if shell.well else ()
                openings += [o for flight in stairs for o in _stair_openings(flight, rooms)]
                openings += [
                    _front_opening("closed door", flight, rooms, 0, -flight.first_side)
                    for flight in stairs
                ]
                return FloorPlan(
                    shell.width, shell.depth, tuple(rooms), tuple(openings), tuple(stairs)
                )
    raise RuntimeError(
        f"plan seed {plan_seed}: no {outline} of {storeys} storeys in {_LAYOUT_ATTEMPTS} attempts; "
        "use another seed"
    )


def _draw_storey(
    rng: np.random.Generator,
    shell: Shell,
    storey: int,
    storeys: int,
    first: int,
    open_plan: bool,
) -> tuple[list[Room], list[Opening]] | None:
    """Return rooms, numbered from `first`, and openings of a storey; None if all attempts fail."""
    for _ in range(_STOREY_ATTEMPTS):
        rects = [*shell.halls, *(room for s in shell.strips for room in _cut(rng, s))]
        if first + len(rects) - storey > MOST_ROOMS:
            continue
        kinds = _assign_storey(rng, rects, len(shell.halls), storey, storeys)
        if kinds is None:
            continue
        local = [Room(i, k, *r, storey) for i, (k, r) in enumerate(zip(kinds, rects, strict=True))]
        if shell.well:
            local.append(Room(len(local), STAIRWELL, *shell.well, storey))
        for _ in range(_OPENING_ATTEMPTS):
            links = choose_links(rng, rects, kinds, open_plan, _FALLBACK_PASSAGE_KINDS)
            if links is None:
                continue
            openings = _openings(rng, tuple(local), links, rects)
            if openings is not None:
                return (
                    [replace(room, index=room.index + first) for room in local],
                    [_renumbered(opening, first) for opening in openings],
                )
    return None


def _cut(rng: np.random.Generator, strip: Rect) -> list[Rect]:
    """Cut a strip into rooms, if possible such that each suits some kind."""
    pieces: list[Rect] = []
    for _ in range(_CUT_ATTEMPTS):
        pieces = []
        split(rng, strip, pieces, _ROOM_AREAS)
        # Sums of tenths differ in the last bits; walls of neighbours must be exactly equal.
        pieces = [Rect(*[round(value, 3) for value in piece]) for piece in pieces]
        if all(map(fits_some, pieces)):
            break
    return pieces


def _openings(
    rng: np.random.Generator,
    rooms: tuple[Room, ...],
    links: Links,
    rects: list[Rect],
) -> list[Opening] | None:
    """Return doors, arches, windows and the entrance of a storey, or None if they clash."""
    passages = place_passages(rng, rooms, links)
    if passages is None:
        return None
    well = next((room for room in rooms if room.kind == STAIRWELL), None)
    hall = rooms[0]
    if well and any(_reaches_before(o, well, hall) for o in passages):
        return None
    openings = passages + place_outer_openings(rng, rooms, passages)
    has_entrance = any(opening.kind == "entrance" for opening in openings)
    if has_entrance != (rooms[0].storey == 0):
        return None
    if not all(has_wall_space(room, openings) for room in rooms):
        return None
    return openings + _shut_doors(rng, rooms, links, rects, openings)


def _reaches_before(opening: Opening, well: Room, hall: Room) -> bool:
    """Return whether an open leaf would stand in the hall in front of the stairs."""
    if opening.swing_room != hall.index:
        return False
    x, y = opening.centre
    near_x = well.x0 - 1.3 < x < well.x1 + 1.3
    return near_x and well.y0 - 1.3 < y < well.y1 + 1.3


def _renumbered(opening: Opening, first: int) -> Opening:
    a, b = opening.rooms
    swing = opening.swing_room + first if opening.swing_room >= 0 else -1
    return replace(opening, rooms=(a + first, b + first if b >= 0 else -1), swing_room=swing)


def _shut_doors(
    rng: np.random.Generator,
    rooms: tuple[Room, ...],
    links: Links,
    rects: list[Rect],
    openings: list[Opening],
) -> list[Opening]:
    """Return permanently closed doors in walls between rooms that are not joined."""
    walls = [
        ((i, j), wall)
        for i in range(len(rects))
        for j in range(i + 1, len(rects))
        if (i, j) not in links and (wall := shared_wall(rects[i], rects[j]))
    ]
    shut: list[Opening] = []
    for index in rng.permutation(len(walls)):
        pair, wall = walls[int(index)]
        if len(shut) == _MOST_CLOSED_DOORS:
            break
        if rng.random() > _CLOSED_DOOR_CHANCE:
            continue
        reach = WALL_HALF_THICKNESS + 0.2
        low, high = wall.start + reach, wall.end - reach - DOOR_WIDTH
        start = round(float(rng.uniform(low, max(low, high))), 2)
        shape = (start, round(start + DOOR_WIDTH, 2), 0.0, DOOR_HEIGHT)
        door = Opening(
            "closed door", wall.axis, wall.position, *shape, pair, storey=rooms[0].storey
        )
        taken = [*openings, *shut]
        both = (rooms[i] for i in pair)
        if not any(clashes(door, other, rooms) for other in taken):
            if all(has_wall_space(room, [*taken, door]) for room in both):
                shut.append(door)
    return shut


def _stairs(rng: np.random.Generator, shell: Shell, rooms: list[Room]) -> tuple[Stairs, ...]:
    """Return stairs in the well of each storey but the top one, open to the first hall."""
    wells = [room for room in rooms if room.kind == STAIRWELL]
    well, hall = wells[0], shell.halls[0]
    x, y = well.centre
    if hall.x0 == well.x1 or hall.x1 == well.x0:
        forward = (-1, 0) if hall.x0 == well.x1 else (1, 0)
        front = (well.x1 if forward[0] < 0 else well.x0, y)
        width, depth = well.y1 - well.y0, well.x1 - well.x0
    else:
        forward = (0, -1) if hall.y0 == well.y1 else (0, 1)
        front = (x, well.y1 if forward[1] < 0 else well.y0)
        width, depth = well.x1 - well.x0, well.y1 - well.y0
    side = 1 if rng.random() < 0.5 else -1
    shape = (front, forward, width, depth, side)
    return tuple(Stairs((a.index, b.index), *shape, a.storey) for a, b in pairwise(wells))


def _stair_openings(stairs: Stairs, rooms: list[Room]) -> list[Opening]:
    """Return an arch at the foot of the stairs, an arch at the head and a railing beside it."""
    first = stairs.first_side
    return [
        _front_opening("arch", stairs, rooms, 0, first),
        _front_opening("arch", stairs, rooms, 1, -first),
        _front_opening("railing", stairs, rooms, 1, first),
    ]


def _front_opening(kind: str, stairs: Stairs, rooms: list[Room], upper: int, side: int) -> Opening:
    """Return an opening between a stairwell and its hall, in front of one of the two flights."""
    half = stairs.flight_width / 2 - _JAMB
    if kind == "closed door":
        half = min(half, DOOR_WIDTH / 2)
    ends = [stairs.point(side * stairs.flight_middle + s * half, 0.0) for s in (-1, 1)]
    axis = "x" if stairs.forward[0] == 0 else "y"
    along, across = (0, 1) if axis == "x" else (1, 0)
    low, high = sorted(round(end[along], 3) for end in ends)
    top = DOOR_HEIGHT if kind == "closed door" else ARCH_HEIGHT
    well = rooms[stairs.rooms[upper]]
    hall = next(
        room
        for room in rooms
        if room.storey == well.storey and room.contains(*stairs.point(0.0, -FLIGHT_GAP))
    )
    shape = (stairs.front[across], low, high, 0.0, top)
    return Opening(kind, axis, *shape, (hall.index, well.index), storey=well.storey)
