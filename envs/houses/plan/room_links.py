"""Links between the rooms of a house: pairs of rooms joined by a door or an arch."""

import numpy as np

from clipnav.envs.houses.plan.room_layout import HALL_KINDS, Rect, SharedWall, shared_wall

# Kinds of rooms that may lead to other rooms.
PUBLIC_KINDS = frozenset(
    {*HALL_KINDS, "living room", "kitchen", "dining room", "library", "music room"}
)
_DAY_KINDS = frozenset({"living room", "kitchen", "dining room"})
_MOST_PASSAGES = 3  # of a room with an extra door, so that its walls have space for furniture
_EXTRA_DOOR_CHANCE = 0.25
_EN_SUITE_KINDS = frozenset({"bathroom", "closet"})

# "open" is an arch as wide as the wall allows.
Links = dict[tuple[int, int], tuple[str, SharedWall]]


def choose_links(
    rng: np.random.Generator,
    rects: list[Rect],
    kinds: list[str],
    open_plan: bool = False,
    fallback_kinds: frozenset[str] = frozenset(),
) -> Links | None:
    """Choose the pairs of rooms of a storey that are joined, by "door", "arch" or "open".

    Halls are first in the list. They are joined with every adjacent room, living quarters with each
    other, and a quarter of the remaining pairs of public rooms get a door too, so that
    there are several routes. Rooms of `fallback_kinds` lead to rooms that no other room reaches.
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
        if busiest < _MOST_PASSAGES and rng.random() < _EXTRA_DOOR_CHANCE:
            links[pair] = ("door", wall)
    return links


def _main_link(rng: np.random.Generator, first: str, second: str, open_plan: bool) -> str:
    """Return the passage between a hall and a room, or between two living quarters; "" for none."""
    wide = "open" if open_plan else "arch"
    if {first, second} <= _DAY_KINDS:
        return wide
    if first not in HALL_KINDS:
        return ""
    if second in HALL_KINDS:
        return "open"
    if second == "kitchen":
        return "" if rng.random() < 0.5 else "arch"
    return wide if second in _DAY_KINDS else "door"


def _join_remaining(
    links: Links,
    walls: dict[tuple[int, int], SharedWall],
    kinds: list[str],
    fallback_kinds: frozenset[str],
) -> bool:
    """Add doors to unreached rooms, from public rooms or (bathrooms, closets) from a bedroom."""
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
    """Return the first pair of a reached room of kind `through` and an unreached room, or None."""
    for i, j in walls:
        if (i in reached) == (j in reached):
            continue
        new, old = (j, i) if i in reached else (i, j)
        en_suite = kinds[new] in _EN_SUITE_KINDS and kinds[old] == "bedroom"
        if en_suite or kinds[old] in through:
            return i, j
    return None
