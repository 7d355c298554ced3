"""Room program of a larger house: required and optional kinds of rooms of each storey."""

import numpy as np

from clipnav.envs.houses.plan.room_layout import HALL_KINDS, KindAssigner, Rect, fits

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
)
# Kinds of the other rooms; a kind that is listed twice may occur twice on a storey.
_DAY_POOL = ("office", "library", "laundry room", "gym", "music room", "closet")
_NIGHT_POOL = (
    "kid's bedroom",
    "office",
    "closet",
    "bathroom",
    "bedroom",
    "kid's bedroom",
    "library",
)
_SINGLE_POOL = (*_DAY_POOL, "kid's bedroom", "bedroom", "bathroom", "bedroom", "office")


def needs_of(storey: int, storeys: int) -> tuple[RoomNeed, ...]:
    """Return the required rooms of a storey in the order of their assignment."""
    if storeys == 1:
        return (*_DAY, _NIGHT[0])
    return _DAY if storey == 0 else _NIGHT


def pool_of(storey: int, storeys: int) -> tuple[str, ...]:
    """Return the kinds of the optional rooms of a storey."""
    if storeys == 1:
        return _SINGLE_POOL
    return (*_DAY_POOL, "bedroom") if storey == 0 else (*_NIGHT_POOL, "gym", "music room")


def assign_storey(
    rng: np.random.Generator, rects: list[Rect], halls: int, storey: int, storeys: int
) -> list[str] | None:
    """Return the kind of each room of a storey, or None if the rooms do not suit."""
    assigner = KindAssigner(rects, {i: HALL_KINDS[storey > 0] for i in range(halls)})
    by_size = sorted(range(halls, len(rects)), key=lambda i: -rects[i].area)
    shuffled = [int(i) for i in rng.permutation(np.arange(halls, len(rects)))]
    orders = {"large": by_size, "small": by_size[::-1], "any": shuffled}
    for kind, beside, order in needs_of(storey, storeys):
        if not assigner.assign(kind, beside, orders[order]):
            return None
    pool = pool_of(storey, storeys)
    left = [pool[i] for i in rng.permutation(len(pool))]
    for room in by_size:
        if room not in assigner.kinds:
            kind = next((k for k in left if fits(k, rects[room])), None)
            if kind is None:
                return None
            assigner.kinds[room] = kind
            left.remove(kind)
    return [assigner.kinds[i] for i in range(len(rects))]
