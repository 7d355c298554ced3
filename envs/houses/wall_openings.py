"""Doors, arches, windows and the entrance of a floor plan."""

import numpy as np

from envs.houses.plan_elements import WALL_HALF_THICKNESS, Opening, Room
from envs.houses.room_layout import Rect, SharedWall, shared_wall

DOOR_WIDTH = 0.9
DOOR_HEIGHT = 2.08
ARCH_HEIGHT = 2.25
# Rooms that one may walk through to reach another.
PUBLIC_KINDS = frozenset(
    {"hallway", "living room", "kitchen", "dining room", "library", "music room"}
)
EN_SUITE_KINDS = frozenset({"bathroom", "closet"})
# Window sill and head in metres, and the widest window: baths and laundries get high, small ones.
WINDOW_SHAPES: dict[str, tuple[float, float, float]] = {
    "bathroom": (1.5, 2.15, 0.9),
    "laundry room": (1.5, 2.15, 0.9),
    "kitchen": (1.15, 2.15, 1.4),
    "living room": (0.5, 2.25, 2.2),
    "dining room": (0.7, 2.25, 1.8),
    "hallway": (0.9, 2.2, 1.0),
}
DEFAULT_WINDOW_SHAPE = (0.9, 2.2, 1.6)


Links = dict[tuple[int, int], tuple[str, SharedWall]]


def choose_links(rng: np.random.Generator, rects: list[Rect], kinds: list[str]) -> Links | None:
    """Which rooms are joined, by a "door" or an "arch"; None when a room cannot be reached.

    The hall joins every room that touches it, living quarters open into each other, and a quarter
    of the remaining pairs of public rooms get a door too: there is more than one way to walk.
    """
    walls = {
        (i, j): wall
        for i in range(len(rects))
        for j in range(i + 1, len(rects))
        if (wall := shared_wall(rects[i], rects[j]))
    }
    links: Links = {}
    day_rooms = {"living room", "kitchen", "dining room"}
    for (i, j), wall in walls.items():
        pair = {kinds[i], kinds[j]}
        if pair <= day_rooms:
            if pair != {"living room", "dining room"} or rng.random() < 0.5:
                links[i, j] = ("arch", wall)
        elif i == 0 and kinds[j] == "living room":
            links[i, j] = ("arch" if rng.random() < 0.7 else "door", wall)
        elif i == 0 and not (kinds[j] == "kitchen" and rng.random() < 0.5):
            links[i, j] = ("door", wall)
    if not _join_remaining(links, walls, kinds):
        return None
    for pair, wall in walls.items():
        public = all(kinds[i] in PUBLIC_KINDS for i in pair)
        if public and pair not in links and rng.random() < 0.25:
            links[pair] = ("door", wall)
    return links


def _join_remaining(
    links: Links, walls: dict[tuple[int, int], SharedWall], kinds: list[str]
) -> bool:
    """Give rooms off the hall a door, through public rooms or (baths, closets) a bedroom."""
    reached = {0}
    while True:
        grown = {i for pair in links if reached & set(pair) for i in pair}
        if not grown <= reached:
            reached |= grown
            continue
        if len(reached) == len(kinds):
            return True
        for (i, j), wall in walls.items():
            if (i in reached) == (j in reached):
                continue
            new, old = (j, i) if i in reached else (i, j)
            en_suite = kinds[new] in EN_SUITE_KINDS and kinds[old] == "bedroom"
            if en_suite or kinds[old] in PUBLIC_KINDS:
                links[i, j] = ("door", wall)
                break
        else:
            return False


def place_passage(
    rng: np.random.Generator,
    rooms: tuple[Room, ...],
    pair: tuple[int, int],
    kind: str,
    wall: SharedWall,
) -> Opening:
    """Place a door or an arch in a shared wall; doors lie beside a corner of their room."""
    low, high = wall.start + WALL_HALF_THICKNESS + 0.1, wall.end - WALL_HALF_THICKNESS - 0.1
    if kind == "arch":
        width = min(float(rng.uniform(1.3, 2.0)), high - low)
        start = float(rng.uniform(low, high - width))
        start = round(start, 2)
        return Opening(
            "arch", wall.axis, wall.position, start, round(start + width, 2), 0.0, ARCH_HEIGHT, pair
        )
    # Into the more private room, as doors do; a leaf in the hall would bar the way.
    swing = next((i for i in reversed(pair) if rooms[i].kind not in PUBLIC_KINDS), pair[1])
    room = rooms[swing]
    corners = (room.x0, room.x1) if wall.axis == "x" else (room.y0, room.y1)
    reaches = {"start": corners[0] == wall.start, "end": corners[1] == wall.end}
    ends = [end for end, at_corner in reaches.items() if at_corner]
    hinge = ends[int(rng.integers(len(ends)))] if ends else ("start", "end")[int(rng.integers(2))]
    start = round(low if hinge == "start" else high - DOOR_WIDTH, 2)
    return Opening(
        "door",
        wall.axis,
        wall.position,
        start,
        round(start + DOOR_WIDTH, 2),
        0.0,
        DOOR_HEIGHT,
        pair,
        hinge,
        swing,
    )


def place_outer_openings(
    rng: np.random.Generator, width: float, depth: float, rooms: tuple[Room, ...]
) -> list[Opening]:
    """The entrance at the hall's end and the windows."""
    openings: list[Opening] = []
    for room in rooms:
        walls = [
            SharedWall(axis, position, start, end)
            for axis, position, start, end, outside in (
                ("x", room.y0, room.x0, room.x1, room.y0 == 0),
                ("x", room.y1, room.x0, room.x1, room.y1 == depth),
                ("y", room.x0, room.y0, room.y1, room.x0 == 0),
                ("y", room.x1, room.y0, room.y1, room.x1 == width),
            )
            if outside
        ]
        walls = [walls[i] for i in rng.permutation(len(walls))]
        for k, wall in enumerate(walls):
            if room.kind == "hallway" and k == 0:
                openings.append(_entrance(wall))
            elif k == 0 or room.kind in ("hallway", "living room") or rng.random() < 0.35:
                openings.append(_window(rng, room, wall))
    return openings


def _entrance(wall: SharedWall) -> Opening:
    middle = (wall.start + wall.end) / 2
    start, end = round(middle - 0.5, 2), round(middle + 0.5, 2)
    return Opening("entrance", wall.axis, wall.position, start, end, 0.0, 2.1, (0, -1))


def _window(rng: np.random.Generator, room: Room, wall: SharedWall) -> Opening:
    bottom, top, widest = WINDOW_SHAPES.get(room.kind, DEFAULT_WINDOW_SHAPE)
    length = wall.end - wall.start
    width = min(float(rng.uniform(0.75, 1.0)) * widest, 0.6 * length)
    slack = (length - width) / 2 - 0.35
    middle = (wall.start + wall.end) / 2 + float(rng.uniform(-0.5, 0.5)) * max(slack, 0.0)
    start, end = round(middle - width / 2, 2), round(middle + width / 2, 2)
    return Opening("window", wall.axis, wall.position, start, end, bottom, top, (room.index, -1))
