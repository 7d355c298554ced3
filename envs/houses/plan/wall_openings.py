"""Placement of doors, arches, windows and the entrance of a floor plan, without clashes."""

import numpy as np

from clipnav.envs.houses.plan.elements import STAIRWELL, WALL_HALF_THICKNESS, Opening, Room
from clipnav.envs.houses.plan.room_layout import Rect, SharedWall
from clipnav.envs.houses.plan.room_links import PUBLIC_KINDS, Links

DOOR_WIDTH = 0.9
DOOR_HEIGHT = 2.08
ARCH_HEIGHT = 2.25
_OPEN_HEIGHT = 2.45  # of an opening as wide as its wall
CORNER = 0.14  # between a door and the face of the wall beside it
_LEAF_DEPTH, _LEAF_BREADTH = 1.0, 0.35  # floor that an open leaf covers beside its hinge
_APPROACH_DEPTH = 0.8  # floor kept free on both sides of a passage
_CORNER_REACH = 0.85  # an opening closer to a corner than this needs floor at the other wall
_PLACEMENT_TRIES = 8
# Heights of window sill and head, and maximum width, in metres: bathrooms and laundry rooms have
# high, small windows.
_WINDOW_SHAPES: dict[str, tuple[float, float, float]] = {
    "bathroom": (1.5, 2.15, 0.9),
    "laundry room": (1.5, 2.15, 0.9),
    "kitchen": (1.15, 2.15, 1.3),
    "living room": (0.75, 2.25, 2.2),
    "dining room": (0.7, 2.25, 1.8),
    "hallway": (0.9, 2.2, 1.0),
    "landing": (0.9, 2.2, 1.0),
    STAIRWELL: (0.9, 2.2, 1.0),
}
_DEFAULT_WINDOW_SHAPE = (0.9, 2.2, 1.6)
# Length in metres of the bare wall that the main furniture of a room needs, and whether a window
# may be in it: kitchen units may stand below a window, a television or a bed may not.
_BARE_WALLS: dict[str, tuple[float, bool]] = {
    "living room": (2.3, False),
    "kitchen": (3.3, True),
    "bedroom": (2.5, False),
    "kid's bedroom": (1.4, False),
    "library": (1.9, False),
    "music room": (1.8, False),
    "closet": (1.9, False),
    "bathroom": (1.9, True),
}
_SECOND_WINDOW = {"living room": 0.4, "bedroom": 0.2, "kitchen": 0.2, "library": 0.0}


def place_passages(
    rng: np.random.Generator, rooms: tuple[Room, ...], links: Links
) -> list[Opening] | None:
    """Place all doors and arches; return None if an open leaf would block another passage.

    A door is beside a corner of the room into which it opens, so that its leaf rests at the wall.
    """
    passages: list[Opening] = []
    for pair, (kind, wall) in sorted(links.items(), key=lambda link: link[1][0]):
        for _ in range(_PLACEMENT_TRIES):
            draw = {"arch": _arch, "open": _wide_arch, "door": _door}[kind]
            passage = draw(rng, rooms, pair, wall)
            if not any(clashes(passage, other, rooms) for other in passages):
                passages.append(passage)
                break
        else:
            return None
    return passages


def _arch(
    rng: np.random.Generator, rooms: tuple[Room, ...], pair: tuple[int, int], wall: SharedWall
) -> Opening:
    low, high = wall.start + WALL_HALF_THICKNESS + CORNER, wall.end - WALL_HALF_THICKNESS - CORNER
    width = min(float(rng.uniform(1.5, 2.4)), high - low)
    start = round(float(rng.uniform(low, high - width)), 2)
    end = round(start + width, 2)
    storey = rooms[pair[0]].storey
    shape = (start, end, 0.0, ARCH_HEIGHT)
    return Opening("arch", wall.axis, wall.position, *shape, pair, storey=storey)


def _wide_arch(
    rng: np.random.Generator, rooms: tuple[Room, ...], pair: tuple[int, int], wall: SharedWall
) -> Opening:
    reach = WALL_HALF_THICKNESS + CORNER
    room = (wall.end - wall.start - 2 * reach) * float(rng.uniform(0.0, 0.25))
    start, end = wall.start + reach + room / 2, wall.end - reach - room / 2
    shape = (round(start, 2), round(end, 2), 0.0, _OPEN_HEIGHT)
    return Opening("arch", wall.axis, wall.position, *shape, pair, storey=rooms[pair[0]].storey)


def _door(
    rng: np.random.Generator, rooms: tuple[Room, ...], pair: tuple[int, int], wall: SharedWall
) -> Opening:
    low, high = wall.start + WALL_HALF_THICKNESS + CORNER, wall.end - WALL_HALF_THICKNESS - CORNER
    # Doors open into the more private room; a leaf in the hall would block the way.
    swing = next((i for i in reversed(pair) if rooms[i].kind not in PUBLIC_KINDS), pair[1])
    corners = _span(rooms[swing], wall.axis)
    reaches = {"start": corners[0] == wall.start, "end": corners[1] == wall.end}
    hinges = [hinge for hinge, at_corner in reaches.items() if at_corner] or ["start", "end"]
    hinge = hinges[int(rng.integers(len(hinges)))]
    start = round(low if hinge == "start" else high - DOOR_WIDTH, 2)
    end = round(start + DOOR_WIDTH, 2)
    shape = (start, end, 0.0, DOOR_HEIGHT)
    storey = rooms[swing].storey
    return Opening("door", wall.axis, wall.position, *shape, pair, hinge, swing, storey)


def _span(room: Room, axis: str) -> tuple[float, float]:
    return (room.x0, room.x1) if axis == "x" else (room.y0, room.y1)


def _strip(room: Room, wall: Opening, start: float, end: float, depth: float) -> Rect:
    """Return the floor of a room along a piece of wall."""
    low, _ = _span(room, "y" if wall.axis == "x" else "x")
    across = (low, low + depth) if wall.position == low else (wall.position - depth, wall.position)
    if wall.axis == "x":
        return Rect(start, across[0], end, across[1])
    return Rect(across[0], start, across[1], end)


def _leaf_strip(door: Opening, rooms: tuple[Room, ...]) -> Rect:
    """Return the floor that the open leaf of a door covers."""
    hinge = door.start if door.hinge == "start" else door.end
    half = _LEAF_BREADTH / 2
    return _strip(rooms[door.swing_room], door, hinge - half, hinge + half, _LEAF_DEPTH)


def clashes(a: Opening, b: Opening, rooms: tuple[Room, ...]) -> bool:
    """Return whether the leaf of one passage blocks the other."""
    for door, other in ((a, b), (b, a)):
        if door.kind == "door" and door.swing_room in other.rooms:
            room = rooms[door.swing_room]
            approach = _strip(room, other, other.start, other.end, _APPROACH_DEPTH)
            if _leaf_strip(door, rooms).overlaps(approach):
                return True
    return False


def place_outer_openings(
    rng: np.random.Generator, rooms: tuple[Room, ...], passages: list[Opening]
) -> list[Opening]:
    """Place the entrance, at the end of the first hall with an outer wall, and the windows."""
    openings: list[Opening] = []
    leaves = [(door.storey, _leaf_strip(door, rooms)) for door in passages if door.kind == "door"]
    for room in rooms:
        if room.kind == "closet" or (room.kind == STAIRWELL and room.storey == 0):
            continue  # their walls are needed for wardrobes, or are behind steps
        walls = outer_walls(room, rooms)
        has_entrance = any(opening.kind == "entrance" for opening in openings)
        for k, index in enumerate(rng.permutation(len(walls))):
            wall = walls[index]
            if room.kind == "hallway" and k == 0 and not has_entrance:
                middle = (wall.start + wall.end) / 2
                start, end = round(middle - 0.5, 2), round(middle + 0.5, 2)
                openings.append(
                    Opening(
                        "entrance", wall.axis, wall.position, start, end, 0.0, 2.1, (room.index, -1)
                    )
                )
            elif k == 0 or rng.random() < _SECOND_WINDOW.get(room.kind, 0.35):
                for _ in range(_PLACEMENT_TRIES):
                    window = _window(rng, room, wall)
                    strip = _strip(room, window, window.start - 0.3, window.end + 0.3, 0.2)
                    if not any(s == room.storey and leaf.overlaps(strip) for s, leaf in leaves):
                        openings.append(window)
                        break
    return openings


def outer_walls(room: Room, rooms: tuple[Room, ...], shortest: float = 1.2) -> list[SharedWall]:
    """Return the outer pieces of a room's walls that are at least `shortest` metres long."""
    walls: list[SharedWall] = []
    for axis, near, far in (
        ("x", "y0", "y1"),
        ("x", "y1", "y0"),
        ("y", "x0", "x1"),
        ("y", "x1", "x0"),
    ):
        position, (low, high) = getattr(room, near), _span(room, axis)
        beside = sorted(
            _span(other, axis)
            for other in rooms
            if other.storey == room.storey and getattr(other, far) == position
        )
        for start, end in [*beside, (high, high)]:
            if min(start, high) - low >= shortest:
                walls.append(SharedWall(axis, position, low, min(start, high)))
            low = max(low, end)
    return walls


def has_wall_space(room: Room, openings: list[Opening]) -> bool:
    """Return whether a room has a bare wall that is long enough for its main furniture."""
    needed, windows_allowed = _BARE_WALLS.get(room.kind, (0.0, True))
    return _longest_bare_wall(room, openings, windows_too=not windows_allowed) >= needed


def _longest_bare_wall(room: Room, openings: list[Opening], windows_too: bool) -> float:
    """Return the length in metres of the longest wall piece without passages.

    If `windows_too`, the piece has no windows either. A passage or window includes the space beside
    it (an approach, a curtain).
    """
    longest = 0.0
    for axis, position in (("x", room.y0), ("x", room.y1), ("y", room.x0), ("y", room.x1)):
        low, high = _span(room, axis)
        cuts = [(low, low), (high, high)]
        for o in openings:
            if room.index in o.rooms and (windows_too or o.kind != "window"):
                if o.axis == axis and o.position == position:
                    cuts.append((o.start - 0.3, o.end + 0.3))
                elif o.kind != "window" and o.axis != axis:
                    # A passage around the corner needs the end of this wall.
                    cuts += _cuts_round_corner(room, o, position, (low, high))
        cuts.sort()
        reached = low
        for start, end in cuts:
            longest = max(longest, start - reached)
            reached = max(reached, end)
    return longest


def _cuts_round_corner(
    room: Room, opening: Opening, position: float, span: tuple[float, float]
) -> list[tuple[float, float]]:
    near = min(abs(opening.start - position), abs(opening.end - position)) < _CORNER_REACH
    if not near:
        return []
    low, high = span
    depth = _LEAF_DEPTH if room.index == opening.swing_room else _APPROACH_DEPTH
    return [(low, low + depth)] if opening.position == low else [(high - depth, high)]


def _window(rng: np.random.Generator, room: Room, wall: SharedWall) -> Opening:
    bottom, top, widest = _WINDOW_SHAPES.get(room.kind, _DEFAULT_WINDOW_SHAPE)
    length = wall.end - wall.start
    width = min(float(rng.uniform(0.75, 1.0)) * widest, 0.6 * length)
    slack = (length - width) / 2 - 0.35
    middle = (wall.start + wall.end) / 2 + float(rng.uniform(-0.9, 0.9)) * max(slack, 0.0)
    shape = (round(middle - width / 2, 2), round(middle + width / 2, 2), bottom, top)
    sides = (room.index, -1)
    return Opening("window", wall.axis, wall.position, *shape, sides, storey=room.storey)
