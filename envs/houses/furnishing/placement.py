"""Where furniture may stand: poses, footprints and the free space of one room (metres, z up).

A pose is a position with an angle in radians, counter-clockwise; at angle 0 the back of an item
looks to +y (north). Footprints are axis-aligned boxes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np

from envs.houses.furnishing.walkable import WalkableFloor
from envs.houses.plan.floor_plan import WALL_HALF_THICKNESS, FloorPlan, Opening
from envs.houses.plan.plan_elements import STAIRWELL

GAP = 0.05  # between neighbours, and between an item and the wall beside it
WALL_GAP = 0.02  # behind an item, where the skirting is
CANDIDATE_STEP = 0.05
PASSAGE_DEPTH = {
    "door": 0.9,
    "arch": 0.65,
    "entrance": 1.1,
    "closed door": 0.5,
    "railing": 0.3,
}
STAIR_APPROACH = 1.3  # of floor kept free before the foot and the head of stairs
SILL_OVERLAP = 0.25  # a sofa may reach this far above a sill, as they do
JAMB_OVERLAP = 0.1  # and tall things this far before the side of a window
CURTAIN_OVERHANG = 0.28  # of a curtain beyond its window, on each side
CURTAIN_DEPTH = 0.18
# Kinds of room whose windows have no curtains.
BARE_WINDOWS = frozenset({"bathroom", "kitchen", "laundry room", "hallway", "landing", STAIRWELL})
SIDE_ANGLES = {"north": 0.0, "south": pi, "west": pi / 2, "east": -pi / 2}
SIDES = tuple(SIDE_ANGLES)


class Pose(NamedTuple):
    """Where an item stands on the floor and how it is turned."""

    x: float
    y: float
    angle: float

    def front(self, distance: float, turn: float = 0.0) -> "Pose":
        """The pose `distance` metres before this one, turned by `turn` radians."""
        x, y = self.x + distance * sin(self.angle), self.y - distance * cos(self.angle)
        return Pose(x, y, self.angle + turn)

    def aside(self, distance: float, turn: float = 0.0) -> "Pose":
        """The pose `distance` metres to the item's right as seen from its front, +x locally."""
        x, y = self.x + distance * cos(self.angle), self.y + distance * sin(self.angle)
        return Pose(x, y, self.angle + turn)


class Box(NamedTuple):
    """An axis-aligned box on the floor."""

    x0: float
    y0: float
    x1: float
    y1: float

    def grown(self, margin: float) -> "Box":
        """The box with a margin on all sides."""
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def overlaps(self, other: "Box") -> bool:
        """Whether the two boxes share more than a rounding error."""
        e = 1e-6
        apart_x = self.x0 >= other.x1 - e or other.x0 >= self.x1 - e
        return not (apart_x or self.y0 >= other.y1 - e or other.y0 >= self.y1 - e)

    def within(self, other: "Box") -> bool:
        """Whether this box lies inside the other."""
        e = 1e-6
        low = self.x0 >= other.x0 - e and self.y0 >= other.y0 - e
        return low and self.x1 <= other.x1 + e and self.y1 <= other.y1 + e


def footprint(size: tuple[float, float, float], pose: Pose) -> Box:
    """The box that an item of this size covers when it stands at a pose."""
    c, s = abs(cos(pose.angle)), abs(sin(pose.angle))
    half_x, half_y = (size[0] * c + size[1] * s) / 2, (size[0] * s + size[1] * c) / 2
    return Box(pose.x - half_x, pose.y - half_y, pose.x + half_x, pose.y + half_y)


def front_box(size: tuple[float, float, float], pose: Pose, depth: float) -> Box:
    """The strip of this depth before an item, where a person stands who uses it."""
    return footprint((size[0], depth, 0.0), pose.front((size[1] + depth) / 2))


@dataclass
class Obstacle:
    """Something that stands on the floor, with its height in metres."""

    box: Box
    height: float


class RoomSpace:
    """The floor and the walls of one room while it is being furnished."""

    def __init__(self, plan: FloorPlan, room_index: int) -> None:
        self.room = room = plan.rooms[room_index]
        self._wells = {other.index for other in plan.rooms if other.kind == STAIRWELL}
        t = WALL_HALF_THICKNESS
        self.inner = Box(room.x0 + t, room.y0 + t, room.x1 - t, room.y1 - t)
        self.openings = tuple(plan.openings_of(room_index))
        self.obstacles: list[Obstacle] = []
        self.access: list[Box] = []
        self.keep_clear = [self._passage_box(o) for o in self.openings if o.kind != "window"]
        self.curtains: list[Box] = []
        if room.kind not in BARE_WINDOWS:
            self.curtains = [self._curtain_box(o) for o in self.openings if o.kind == "window"]
        self.floor = WalkableFloor(self.inner, [o for o in self.openings if o.is_passage])
        for box in self.curtains:
            self.floor.block(box)

    def side_of(self, opening: Opening) -> str:
        """Name of the wall of this room in which an opening lies."""
        if opening.axis == "x":
            return "south" if opening.position == self.room.y0 else "north"
        return "west" if opening.position == self.room.x0 else "east"

    def side_behind(self, pose: Pose) -> str:
        """Name of the wall at an item's back."""
        return min(SIDES, key=lambda s: abs((SIDE_ANGLES[s] - pose.angle + pi) % (2 * pi) - pi))

    def along(self, side: str, pose: Pose) -> float:
        """Coordinate of a pose along a wall."""
        return pose.x if side in ("north", "south") else pose.y

    def span(self, side: str) -> tuple[float, float]:
        """Both ends of a wall, inside, along the wall."""
        inner = self.inner
        return (inner.x0, inner.x1) if side in ("north", "south") else (inner.y0, inner.y1)

    def in_row(self, count: int) -> list[Pose]:
        """Poses in equal parts of the room along its longer side, in the middle of the other."""
        inner = self.inner
        width, depth = inner.x1 - inner.x0, inner.y1 - inner.y0
        shares = [(k + 0.5) / count for k in range(count)]
        if width >= depth:
            return [Pose(inner.x0 + s * width, inner.y0 + 0.5 * depth, 0.0) for s in shares]
        return [Pose(inner.x0 + 0.5 * width, inner.y0 + s * depth, pi / 2) for s in shares]

    def wall_pose(self, side: str, along: float, distance: float) -> Pose:
        """The pose with its back to a wall, its origin `distance` metres from the wall's face."""
        inner, angle = self.inner, SIDE_ANGLES[side]
        if side in ("north", "south"):
            y = inner.y1 - distance if side == "north" else inner.y0 + distance
            return Pose(along, y, angle)
        return Pose(inner.x1 - distance if side == "east" else inner.x0 + distance, along, angle)

    def wall_strip(self, side: str, start: float, end: float, depth: float) -> Box:
        """The box of this depth along a piece of wall."""
        return footprint(
            (end - start, depth, 0.0), self.wall_pose(side, (start + end) / 2, depth / 2)
        )

    def _passage_box(self, opening: Opening) -> Box:
        depth = PASSAGE_DEPTH[opening.kind]
        if self._leads_to_stairs(opening):
            depth = STAIR_APPROACH
        side = self.side_of(opening)
        return self.wall_strip(side, opening.start - GAP, opening.end + GAP, depth)

    def _leads_to_stairs(self, opening: Opening) -> bool:
        return opening.is_passage and not self._wells.isdisjoint(opening.rooms)

    def _curtain_box(self, window: Opening) -> Box:
        low, high = self.span(self.side_of(window))
        start = max(window.start - CURTAIN_OVERHANG, low)
        end = min(window.end + CURTAIN_OVERHANG, high)
        return self.wall_strip(self.side_of(window), start, end, CURTAIN_DEPTH)

    def hides_window(self, box: Box, height: float) -> bool:
        """Whether an item would stand before a window and reach above its sill."""
        for window in self.openings:
            if window.kind == "window" and height > window.bottom + SILL_OVERLAP:
                start, end = window.start + JAMB_OVERLAP, window.end - JAMB_OVERLAP
                strip = self.wall_strip(self.side_of(window), start, end, 0.7)
                if box.overlaps(strip):
                    return True
        return False

    def fits(
        self,
        box: Box,
        height: float,
        front: Box | None = None,
        gap: float = GAP,
        tucked: bool = False,
    ) -> bool:
        """Whether a box is free: of items, passages, windows and the space others need in front.

        Args:
            box: footprint of the new item.
            height: its height in metres.
            front: the space it needs itself, free of items but shared with passages and others.
            gap: distance kept from other items.
            tucked: the item belongs to another (a chair at its table) and may use its space.
        """
        if not box.within(self.inner) or self.hides_window(box, height):
            return False
        grown = box.grown(gap)
        taken = [*self.keep_clear, *self.curtains, *(() if tucked else self.access)]
        if any(box.overlaps(other) for other in taken):
            return False
        if any(grown.overlaps(o.box) for o in self.obstacles):
            return False
        if front is None:
            return True
        return front.within(self.inner) and not any(front.overlaps(o.box) for o in self.obstacles)

    def wall_poses(
        self,
        size: tuple[float, float, float],
        front_depth: float,
        where: str = "any",
    ) -> list[Pose]:
        """Free poses with the back to a wall: both ends and the middle of each free stretch.

        Args:
            size: width, depth and height of the item.
            front_depth: free space before it in metres.
            where: "any", "corner" (ends of stretches only) or "middle".
        """
        poses: list[Pose] = []
        for side in SIDES:
            low, high = self.span(side)
            margin = size[0] / 2 + GAP
            if high - low < 2 * margin:
                continue
            count = max(2, round((high - low - 2 * margin) / CANDIDATE_STEP) + 1)
            stretch: list[Pose] = []
            for along in [*np.linspace(low + margin, high - margin, count), None]:
                if along is not None:
                    pose = self.wall_pose(side, float(along), size[1] / 2 + WALL_GAP)
                    front = front_box(size, pose, front_depth) if front_depth else None
                    if self.fits(footprint(size, pose), size[2], front):
                        stretch.append(pose)
                        continue
                poses += _ends_and_middle(stretch, where)
                stretch = []
        return poses

    def stays_walkable(self, boxes: Iterable[Box]) -> bool:
        """Whether people still reach all of the floor and all passages with these boxes added."""
        return self.floor.stays_walkable(boxes)

    def occupy(self, box: Box, height: float, front: Box | None = None) -> None:
        """Record an item that stands on the floor."""
        self.obstacles.append(Obstacle(box, height))
        self.floor.block(box)
        if front is not None:
            self.access.append(front)


def _ends_and_middle(stretch: list[Pose], where: str) -> list[Pose]:
    if not stretch:
        return []
    ends, middle = [stretch[0], stretch[-1]], stretch[len(stretch) // 2]
    return {"corner": ends, "middle": [middle], "any": [*ends, middle]}[where]
