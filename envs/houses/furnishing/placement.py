"""Placement of furniture: poses, footprints and the free space of one room (metres, z up).

A pose is a position with an angle in radians, counter-clockwise; at angle 0 the back of an item
faces +y (north). Footprints are axis-aligned boxes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import NamedTuple

import numpy as np

from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.plan.floor_plan import WALL_HALF_THICKNESS, FloorPlan, Opening

CELL = 0.05
_CLEARANCE = 0.2  # half of the narrowest walkable width
_PASSAGE_CLEARANCE = 0.26  # minimum clearance of the routes between doors
_STANDING_RADIUS = 0.5  # of the open area that every room needs
_LARGEST_POCKET = 0.04  # m2 of floor that may be unreachable, as in a corner between two curtains
PAD = 0.4
_GAP = 0.05  # between neighbours, and between an item and the wall beside it
WALL_GAP = 0.02  # behind an item, where the skirting is
_CANDIDATE_STEP = 0.05
_PASSAGE_DEPTH = {
    "door": 0.9,
    "arch": 0.65,
    "entrance": 1.1,
    "closed door": 0.5,
    "railing": 0.3,
}
_STAIR_APPROACH = 1.3  # free floor in front of the foot and the head of stairs
_SILL_OVERLAP = 0.25  # height above a sill that an item may reach
_JAMB_OVERLAP = 0.1  # width at the side of a window that a tall item may cover
_CURTAIN_OVERHANG = 0.28  # of a curtain beyond each side of its window
_CURTAIN_DEPTH = 0.18
# Kinds of rooms whose windows have no curtains.
BARE_WINDOWS = frozenset({"bathroom", "kitchen", "laundry room", "hallway", "landing", STAIRWELL})
_SIDE_ANGLES = {"north": 0.0, "south": pi, "west": pi / 2, "east": -pi / 2}
SIDES = tuple(_SIDE_ANGLES)


class WalkableFloor:
    """Free cells of one room, with a short piece of floor behind each of its passages."""

    def __init__(
        self, inner: tuple[float, float, float, float], passages: Sequence[Opening]
    ) -> None:
        self.origin = np.array(inner[:2]) - PAD
        shape = np.ceil((np.array(inner[2:]) + PAD - self.origin) / CELL).astype(int)
        self.free = np.zeros(shape, dtype=bool)
        self._set(inner, True)
        self.indoors = self.free.copy()
        self.thresholds: list[tuple[slice, slice]] = []
        for passage in passages:
            reach = PAD + 2 * WALL_HALF_THICKNESS
            along, across = (passage.start, passage.end), passage.position
            if passage.axis == "x":
                box = (along[0], across - reach, along[1], across + reach)
            else:
                box = (across - reach, along[0], across + reach, along[1])
            self._set(box, True)
            low, high = self._cells((box[0], box[1])), self._cells((box[2], box[3]))
            at = self._cells(passage.centre)
            if passage.axis == "x":
                self.thresholds.append((slice(low[0], high[0]), slice(at[1], at[1] + 1)))
            else:
                self.thresholds.append((slice(at[0], at[0] + 1), slice(low[1], high[1])))

    def _cells(self, point: Sequence[float]) -> np.ndarray:
        return np.floor((np.asarray(point) - self.origin) / CELL + 1e-6).astype(int)

    def _set(self, box: Sequence[float], value: bool, grid: np.ndarray | None = None) -> None:
        low = np.maximum(np.floor((np.asarray(box[:2]) - self.origin) / CELL + 1e-6), 0)
        high = np.ceil((np.asarray(box[2:]) - self.origin) / CELL - 1e-6)
        x0, y0, x1, y1 = (int(v) for v in (*low, *np.maximum(high, 0)))
        (self.free if grid is None else grid)[x0:x1, y0:y1] = value

    def block(self, box: Sequence[float]) -> None:
        """Remove a box of floor permanently."""
        self._set(box, False)

    def stays_walkable(self, boxes: Iterable[Sequence[float]] = ()) -> bool:
        """Return whether the floor stays walkable if these boxes are blocked too.

        It must be one connected region at `_CLEARANCE`, join all passages at
        `_PASSAGE_CLEARANCE` and contain an open area of `_STANDING_RADIUS`.
        """
        from scipy import ndimage

        grid = self.free.copy()
        for box in boxes:
            self._set(box, False, grid)
        clearance = np.asarray(ndimage.distance_transform_edt(grid)) * CELL - CELL / 2
        open_places = self.indoors & (clearance >= _STANDING_RADIUS)
        areas = np.bincount(_pieces(clearance >= _CLEARANCE).ravel())[1:] * CELL**2
        if not len(areas) or areas.sum() - areas.max() > _LARGEST_POCKET:
            return False
        wide = _pieces(clearance >= _PASSAGE_CLEARANCE)
        at_passages = {int(wide[threshold].max()) for threshold in self.thresholds}
        standing = set(np.unique(wide[open_places]))
        return 0 not in at_passages and len(at_passages) == 1 and bool(at_passages & standing)


def _pieces(mask: np.ndarray) -> np.ndarray:
    """Return the label of the connected piece of each cell, from 1; 0 where the mask is False."""
    from scipy import ndimage

    labels = np.zeros(mask.shape, dtype=np.int32)
    ndimage.label(mask, structure=np.ones((3, 3)), output=labels)
    return labels


class ItemPose(NamedTuple):
    """Position and angle of an item on the floor."""

    x: float
    y: float
    angle: float

    def front(self, distance: float, turn: float = 0.0) -> "ItemPose":
        """Return the pose `distance` metres in front of this one, rotated by `turn` radians."""
        x, y = self.x + distance * sin(self.angle), self.y - distance * cos(self.angle)
        return ItemPose(x, y, self.angle + turn)

    def aside(self, distance: float, turn: float = 0.0) -> "ItemPose":
        """Return the pose `distance` metres along the local +x, rotated by `turn` radians."""
        x, y = self.x + distance * cos(self.angle), self.y + distance * sin(self.angle)
        return ItemPose(x, y, self.angle + turn)


class Box(NamedTuple):
    """An axis-aligned box on the floor."""

    x0: float
    y0: float
    x1: float
    y1: float

    def grown(self, margin: float) -> "Box":
        """Return the box with a margin on all sides."""
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def overlaps(self, other: "Box") -> bool:
        """Return whether the two boxes share more than a rounding error."""
        e = 1e-6
        apart_x = self.x0 >= other.x1 - e or other.x0 >= self.x1 - e
        return not (apart_x or self.y0 >= other.y1 - e or other.y0 >= self.y1 - e)

    def within(self, other: "Box") -> bool:
        """Return whether this box lies inside the other."""
        e = 1e-6
        low = self.x0 >= other.x0 - e and self.y0 >= other.y0 - e
        return low and self.x1 <= other.x1 + e and self.y1 <= other.y1 + e


def footprint(size: tuple[float, float, float], pose: ItemPose) -> Box:
    """Return the box that an item of this size covers when it stands at a pose."""
    c, s = abs(cos(pose.angle)), abs(sin(pose.angle))
    half_x, half_y = (size[0] * c + size[1] * s) / 2, (size[0] * s + size[1] * c) / 2
    return Box(pose.x - half_x, pose.y - half_y, pose.x + half_x, pose.y + half_y)


def front_box(size: tuple[float, float, float], pose: ItemPose, depth: float) -> Box:
    """Return the strip of this depth in front of an item, which its users need."""
    return footprint((size[0], depth, 0.0), pose.front((size[1] + depth) / 2))


@dataclass
class Obstacle:
    """An object on the floor with its footprint and its height in metres."""

    box: Box
    height: float


class RoomSpace:
    """Floor and walls of one room while it is being furnished."""

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
        """Return the name of the wall of this room that contains an opening."""
        if opening.axis == "x":
            return "south" if opening.position == self.room.y0 else "north"
        return "west" if opening.position == self.room.x0 else "east"

    def side_behind(self, pose: ItemPose) -> str:
        """Name of the wall at an item's back."""
        return min(SIDES, key=lambda s: abs((_SIDE_ANGLES[s] - pose.angle + pi) % (2 * pi) - pi))

    def along(self, side: str, pose: ItemPose) -> float:
        """Return the coordinate of a pose along a wall."""
        return pose.x if side in ("north", "south") else pose.y

    def span(self, side: str) -> tuple[float, float]:
        """Return the inner coordinates of both ends of a wall along the wall."""
        inner = self.inner
        return (inner.x0, inner.x1) if side in ("north", "south") else (inner.y0, inner.y1)

    def in_row(self, count: int) -> list[ItemPose]:
        """Return evenly spaced poses along the longer middle line of the room."""
        inner = self.inner
        width, depth = inner.x1 - inner.x0, inner.y1 - inner.y0
        shares = [(k + 0.5) / count for k in range(count)]
        if width >= depth:
            return [ItemPose(inner.x0 + s * width, inner.y0 + 0.5 * depth, 0.0) for s in shares]
        return [ItemPose(inner.x0 + 0.5 * width, inner.y0 + s * depth, pi / 2) for s in shares]

    def wall_pose(self, side: str, along: float, distance: float) -> ItemPose:
        """Return the pose with its back to a wall, `distance` metres from the wall's face."""
        inner, angle = self.inner, _SIDE_ANGLES[side]
        if side in ("north", "south"):
            y = inner.y1 - distance if side == "north" else inner.y0 + distance
            return ItemPose(along, y, angle)
        return ItemPose(
            inner.x1 - distance if side == "east" else inner.x0 + distance, along, angle
        )

    def wall_strip(self, side: str, start: float, end: float, depth: float) -> Box:
        """Return the box of this depth along a piece of wall."""
        return footprint(
            (end - start, depth, 0.0), self.wall_pose(side, (start + end) / 2, depth / 2)
        )

    def _passage_box(self, opening: Opening) -> Box:
        depth = _PASSAGE_DEPTH[opening.kind]
        if opening.is_passage and not self._wells.isdisjoint(opening.rooms):
            depth = _STAIR_APPROACH
        side = self.side_of(opening)
        return self.wall_strip(side, opening.start - _GAP, opening.end + _GAP, depth)

    def _curtain_box(self, window: Opening) -> Box:
        low, high = self.span(self.side_of(window))
        start = max(window.start - _CURTAIN_OVERHANG, low)
        end = min(window.end + _CURTAIN_OVERHANG, high)
        return self.wall_strip(self.side_of(window), start, end, _CURTAIN_DEPTH)

    def hides_window(self, box: Box, height: float) -> bool:
        """Return whether an item would stand in front of a window and reach above its sill."""
        for window in self.openings:
            if window.kind == "window" and height > window.bottom + _SILL_OVERLAP:
                start, end = window.start + _JAMB_OVERLAP, window.end - _JAMB_OVERLAP
                strip = self.wall_strip(self.side_of(window), start, end, 0.7)
                if box.overlaps(strip):
                    return True
        return False

    def fits(
        self,
        box: Box,
        height: float,
        front: Box | None = None,
        gap: float = _GAP,
        tucked: bool = False,
    ) -> bool:
        """Return whether a box is free of items, passages, windows and the space in front of items.

        Args:
            height: Its height in metres.
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
    ) -> list[ItemPose]:
        """Return free poses with the back to a wall: both ends and the middle of each free stretch.

        Args:
            front_depth: Free space in front of it in metres.
        """
        poses: list[ItemPose] = []
        for side in SIDES:
            low, high = self.span(side)
            margin = size[0] / 2 + _GAP
            if high - low < 2 * margin:
                continue
            count = max(2, round((high - low - 2 * margin) / _CANDIDATE_STEP) + 1)
            stretch: list[ItemPose] = []
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
        """Return whether floor and passages stay reachable with these boxes added."""
        return self.floor.stays_walkable(boxes)

    def occupy(self, box: Box, height: float, front: Box | None = None) -> None:
        """Record an item that stands on the floor."""
        self.obstacles.append(Obstacle(box, height))
        self.floor.block(box)
        if front is not None:
            self.access.append(front)


def _ends_and_middle(stretch: list[ItemPose], where: str) -> list[ItemPose]:
    if not stretch:
        return []
    ends, middle = [stretch[0], stretch[-1]], stretch[len(stretch) // 2]
    return {"corner": ends, "middle": [middle], "any": [*ends, middle]}[where]
