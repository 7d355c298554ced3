"""Which rooms of a house are joined, and whether by a door or by an open arch."""

import numpy as np

from envs.houses.plan.room_layout import HALL_KINDS, Rect, SharedWall, shared_wall

# Rooms that one may walk through to reach another.
PUBLIC_KINDS = frozenset(
    {*HALL_KINDS, "living room", "kitchen", "dining room", "library", "music room"}
)
DAY_KINDS = frozenset({"living room", "kitchen", "dining room"})
MOST_PASSAGES = 3  # of a room that gets an extra door: its walls are for furniture too
EXTRA_DOOR_CHANCE = 0.25
EN_SUITE_KINDS = frozenset({"bathroom", "closet"})

# "open" is an arch as wide as the wall allows.
Links = dict[tuple[int, int], tuple[str, SharedWall]]


def choose_links(
    rng: np.random.Generator,
    rects: list[Rect],
    kinds: list[str],
    open_plan: bool = False,
    fallback_kinds: frozenset[str] = frozenset(),
) -> Links | None:
    """Which rooms of a storey are joined, by "door", "arch" or "open"; None if one is cut off.

    Halls come first. They join every room that touches them, living quarters open into each other,
    and a quarter of the remaining pairs of public rooms get a door too: there is more than one way
    to walk. One may have to walk through rooms of the kinds `fallback_kinds` to rooms that no other reach.
    """
    walls = {
        (i, j): wall
        for i in range(len(rects))
        for j in range(i + 1, len(rects))
        if (wall := shared_wall(rects[i], rects[j]))
    }
    links: Links = {}
    for (i, j), wall in walls.items():
        if kind := _main_link(rng, kinds[i], kinds[j], open_plan):
            links[i, j] = (kind, wall)
    if not _join_remaining(links, walls, kinds, fallback_kinds):
        return None
    for pair, wall in walls.items():
        if pair in links or not all(kinds[i] in PUBLIC_KINDS for i in pair):
            continue
        busiest = max(sum(i in link for link in links) for i in pair if kinds[i] not in HALL_KINDS)
        if busiest < MOST_PASSAGES and rng.random() < EXTRA_DOOR_CHANCE:
            links[pair] = ("door", wall)
    return links


def _main_link(rng: np.random.Generator, first: str, second: str, open_plan: bool) -> str:
    """How a hall and a room beside it, or two living quarters, are joined; "" if they are not."""
    pair = {first, second}
    if pair <= DAY_KINDS:
        if open_plan:
            return "open"
        return "arch" if pair != {"living room", "dining room"} or rng.random() < 0.5 else ""
    if first not in HALL_KINDS:
        return ""
    if second in HALL_KINDS:
        return "open"
    if second == "living room":
        return "arch" if rng.random() < 0.7 else "door"
    return "" if second == "kitchen" and rng.random() < 0.5 else "door"


def _join_remaining(
    links: Links,
    walls: dict[tuple[int, int], SharedWall],
    kinds: list[str],
    fallback_kinds: frozenset[str],
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
        pair = _next_link(walls, kinds, reached, PUBLIC_KINDS)
        pair = pair or _next_link(walls, kinds, reached, fallback_kinds)
        if pair is None:
            return False
        links[pair] = ("door", walls[pair])


def _next_link(
    walls: dict[tuple[int, int], SharedWall],
    kinds: list[str],
    reached: set[int],
    through: frozenset[str],
) -> tuple[int, int] | None:
    """The first pair of a reached room of these kinds and one that is not reached yet, or None."""
    for i, j in walls:
        if (i in reached) == (j in reached):
            continue
        new, old = (j, i) if i in reached else (i, j)
        en_suite = kinds[new] in EN_SUITE_KINDS and kinds[old] == "bedroom"
        if en_suite or kinds[old] in through:
            return i, j
    return None
