"""Which rooms of a house are joined, and whether by a door or by an open arch."""

import numpy as np

from envs.houses.room_layout import Rect, SharedWall, shared_wall

# Rooms that one may walk through to reach another.
PUBLIC_KINDS = frozenset(
    {"hallway", "living room", "kitchen", "dining room", "library", "music room"}
)
MOST_PASSAGES = 3  # of a room that gets an extra door: its walls are for furniture too
EXTRA_DOOR_CHANCE = 0.25
EN_SUITE_KINDS = frozenset({"bathroom", "closet"})

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
        if pair in links or not all(kinds[i] in PUBLIC_KINDS for i in pair):
            continue
        busiest = max(sum(i in link for link in links) for i in pair if i != 0)
        if busiest < MOST_PASSAGES and rng.random() < EXTRA_DOOR_CHANCE:
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
