"""Clutter: small objects on tables and chests, and on the floor along walls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import pi

import numpy as np

from clipnav.envs.houses.furnishing.placement import Pose, RoomSpace, footprint, front_box
from clipnav.envs.houses.furnishing.room_builder import FRONT_SPACE, PlacedObject
from clipnav.envs.houses.furniture import Item, make_item
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.plan.floor_plan import FloorPlan

# Maximum number and categories of small objects by the furniture on which they lie.
ON_TOP: dict[str, tuple[int, tuple[str, ...]]] = {
    "coffee table": (2, ("cup", "books", "fruit bowl", "candle")),
    "dining table": (4, ("plate", "plate", "cup", "bottle", "fruit bowl")),
    "desk": (2, ("cup", "books", "laptop")),
    "sideboard": (2, ("candle", "books", "bottle", "laptop")),
    "dresser": (2, ("candle", "books", "cup")),
    "nightstand": (1, ("cup", "books")),
    "kitchen counter": (3, ("bottle", "plate", "cup", "fruit bowl")),
    "tv stand": (1, ("books", "candle")),
    "entrance bench": (1, ("bag", "books")),
    "toy chest": (1, ("toy blocks",)),
}
# Categories of small objects on the floor by kind of room; other rooms have none.
ON_FLOOR: dict[str, tuple[str, ...]] = {
    "hallway": ("shoes", "bag", "shoes"),
    "landing": ("bag", "books"),
    "living room": ("toy blocks", "books", "bag"),
    "bedroom": ("shoes", "bag", "books"),
    "kid's bedroom": ("ball", "toy blocks", "shoes", "ball"),
    "office": ("bag", "box", "books"),
    "library": ("books", "books"),
    "laundry room": ("box", "bottle"),
    "gym": ("bag", "bottle", "ball"),
    "closet": ("shoes", "box", "bag"),
    "music room": ("books", "bag"),
}
MOST_ON_FLOOR = 3
_TOP_CHANCE, _FLOOR_CHANCE = 0.65, 0.6
_SPOTS = 14  # positions to try for each object
_EDGE = 0.02  # minimum distance in metres of an object from the edge of its surface
_FLAT = 0.004  # maximum height difference in metres of the surface below an object
_TOPS = (0.25, 1.3)  # range of heights in metres of suitable surfaces


def scatter(
    plan: FloorPlan, placed: Sequence[PlacedObject], rng: np.random.Generator, style: Style
) -> list[PlacedObject]:
    """Place small objects in a furnished house whose floor stays walkable; return them."""
    clutter: list[PlacedObject] = []
    for thing in placed:
        most, names = ON_TOP.get(thing.item.category, (0, ()))
        if most:
            clutter += _on_top(thing, most, names, rng, style)
    for room in plan.rooms:
        if room.kind in ON_FLOOR:
            clutter += _on_floor(plan, room.index, placed, rng, style)
    return clutter


def _on_top(
    thing: PlacedObject, most: int, names: tuple[str, ...], rng: np.random.Generator, style: Style
) -> Iterator[PlacedObject]:
    """Yield up to `most` objects at flat and free positions on top of another object."""
    surface = _Surface(thing.item)
    for _ in range(most):
        if rng.random() > _TOP_CHANCE:
            continue
        item = make_item(pick(rng, names), rng, style)
        spot = surface.find(item, rng)
        if spot is None:
            continue
        x, y, z = spot
        c, s = np.cos(thing.angle), np.sin(thing.angle)
        at = (
            thing.position[0] + float(c * x - s * y),
            thing.position[1] + float(s * x + c * y),
            thing.position[2] + z,
        )
        # Roughly aligned with the furniture below.
        angle = thing.angle + float(rng.uniform(-0.5, 0.5))
        yield PlacedObject(item, thing.room, at, angle, blocks_floor=False)


class _Surface:
    """The top of a piece of furniture in its own frame, measured by rays from above."""

    def __init__(self, item: Item) -> None:
        from clipnav.envs.panoramas.ray_tracer import embree_scene

        corners = np.concatenate([part.positions[part.faces] for part in item.parts])
        self._embree = embree_scene(corners)
        self._size = item.size
        self._taken: list[tuple[float, float, float]] = []  # x, y, radius

    def find(self, item: Item, rng: np.random.Generator) -> tuple[float, float, float] | None:
        """Return a position (x, y, z) where an item lies flat at any angle, or None."""
        radius = float(np.hypot(*item.size[:2])) / 2
        free = np.array(self._size[:2]) / 2 - _EDGE
        inner = free - (radius if min(free) > radius else min(item.size[:2]) / 2)
        if min(inner) < 0:
            return None
        for x, y in rng.uniform(-inner, inner, (_SPOTS, 2)):
            if any(np.hypot(x - a, y - b) < radius + r for a, b, r in self._taken):
                continue
            heights = self._heights(float(x), float(y), radius)
            if np.ptp(heights) < _FLAT and _TOPS[0] < heights[0] < _TOPS[1]:
                self._taken.append((float(x), float(y), radius))
                return float(x), float(y), float(heights.max())
        return None

    def _heights(self, x: float, y: float, radius: float) -> np.ndarray:
        """Return the heights of the surface at a point and on two circles around it."""
        turn = np.arange(12) * pi / 6
        ring = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        around = np.concatenate([np.zeros((1, 2)), 0.55 * radius * ring, radius * ring])
        above = self._size[2] + 1.0
        origins = np.column_stack([around + np.array([x, y]), np.full(len(around), above)])
        down = np.tile(np.array([0, 0, -1], np.float32), (len(around), 1))
        hits = self._embree.run(origins.astype(np.float32), down, query="INTERSECT", output=True)
        return np.where(hits["primID"] < 0, -np.inf, above - hits["tfar"])


def _on_floor(
    plan: FloorPlan,
    room_index: int,
    placed: Sequence[PlacedObject],
    rng: np.random.Generator,
    style: Style,
) -> Iterator[PlacedObject]:
    """Yield a few objects along the walls of a room, where its floor stays walkable."""
    room, space = plan.rooms[room_index], RoomSpace(plan, room_index)
    for thing in placed:
        if thing.room == room_index and thing.blocks_floor:
            pose = Pose(*thing.position[:2], thing.angle)
            depth = FRONT_SPACE.get(thing.item.category, 0.0)
            front = front_box(thing.item.size, pose, depth) if depth else None
            space.occupy(thing.footprint, thing.item.size[2], front)
    for _ in range(MOST_ON_FLOOR):
        if rng.random() > _FLOOR_CHANCE:
            continue
        item = make_item(pick(rng, ON_FLOOR[room.kind]), rng, style)
        poses = space.wall_poses(item.size, 0.0, "any")
        for index in rng.permutation(len(poses))[:_SPOTS]:
            pose = poses[int(index)]
            box = footprint(item.size, pose)
            if space.stays_walkable([box]):
                space.occupy(box, item.size[2])
                position = (float(pose.x), float(pose.y), room.floor)
                yield PlacedObject(item, room_index, position, float(pose.angle), True)
                break
