"""Builder that draws and places the furniture of one room."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clipnav.envs.houses.furnishing.placement import Box, ItemPose, RoomSpace, footprint, front_box
from clipnav.envs.houses.furniture import Item, make_item
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.plan.floor_plan import FloorPlan

# Free floor in metres in front of an item, which its users need.
FRONT_SPACE: dict[str, float] = {
    "aquarium": 0.5,
    "bathtub": 0.5,
    "bed": 0.5,
    "bookshelf": 0.5,
    "desk": 0.8,
    "dresser": 0.5,
    "entrance bench": 0.4,
    "fireplace": 0.8,
    "fridge": 0.7,
    "kitchen counter": 0.75,
    "kitchen sink": 0.75,
    "piano": 0.75,
    "shower": 0.5,
    "sideboard": 0.5,
    "sofa": 0.4,
    "stove": 0.75,
    "toilet": 0.5,
    "treadmill": 0.4,
    "tv stand": 0.8,
    "wardrobe": 0.5,
    "washbasin": 0.55,
    "washing machine": 0.6,
}
# Categories that are distinguished by colour: if possible, no two items of a house are equal.
_VARIED = frozenset(
    (
        "armchair, bed, bookshelf, coat rack, dresser, entrance bench, exercise ball, floor lamp, "
        "laundry basket, office chair, picture, rug, shoe rack, sideboard, sofa, stool, toy chest, "
        "wardrobe"
    ).split(", ")
)
_MOST_FURNITURE_TRIANGLES = 90_000  # of a house, unless required furniture has more
_PLANT_DRAWS = 6
_WIDEST_PLANT = 0.85
_SIZE_DRAWS = 4
_FULLEST = 0.5  # maximum share of a room's floor that furniture covers
PICTURE_HEIGHT = 1.55
_HANGING_DEPTH = 0.4  # items closer to the wall than this hide objects that hang on it


@dataclass(frozen=True, eq=False)
class PlacedObject:
    """An item with its room, the position of its origin in metres and its angle in radians."""

    item: Item
    room: int
    position: tuple[float, float, float]
    angle: float
    blocks_floor: bool

    @property
    def triangles(self) -> int:
        """Number of triangles."""
        return sum(len(part.faces) for part in self.item.parts)

    @property
    def footprint(self) -> Box:
        """Box (x0, y0, x1, y1) that the item covers on the floor plan."""
        return footprint(self.item.size, ItemPose(self.position[0], self.position[1], self.angle))


@dataclass
class FurnishingState:
    """State that all rooms of a house share while they are furnished.

    Attributes:
        plan: Floor plan.
        rng: Source of randomness.
        style: Style of the house.
        scan: Name of the house in warnings.
        doors: Leaves of the inner doors.
        seen: Category and colour of the items in finished rooms.
        stock: Unplaced items by category and options.
        triangles: Number of triangles of the items in finished rooms.
    """

    plan: FloorPlan
    rng: np.random.Generator
    style: Style
    scan: str = "a house"
    doors: list["PlacedObject"] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)
    stock: dict[tuple, list[Item]] = field(default_factory=dict)
    triangles: int = 0

    def triangles_left(self, room_index: int) -> bool:
        """Return whether the triangle budget up to this room allows optional items."""
        share = (room_index + 1) / len(self.plan.rooms)
        return self.triangles < share * _MOST_FURNITURE_TRIANGLES

    def make(self, category: str, **options: Any) -> Item:
        """Make an item; plants are drawn again until they are narrow enough."""
        item = make_item(category, self.rng, self.style, **options)
        for _ in range(_PLANT_DRAWS if category == "plant" else 0):
            if max(item.size[:2]) <= _WIDEST_PLANT:
                break
            item = make_item(category, self.rng, self.style, **options)
        return item


@dataclass(frozen=True)
class CoveredWall:
    """A covered piece of wall, with limits along the wall and in height in metres."""

    side: str
    start: float
    end: float
    bottom: float
    top: float


class RoomBuilder:
    """One attempt at furnishing a room.

    Attributes:
        space: Free floor and walls of the room.
        objects: Objects placed so far.
        missing: Required categories for which there was no space.
        covered: Pieces of wall that are covered by objects.
    """

    def __init__(self, state: FurnishingState, room_index: int) -> None:
        self.state = state
        self.rng = state.rng
        self.space = RoomSpace(state.plan, room_index)
        self.objects: list[PlacedObject] = []
        self.missing: list[str] = []
        self.covered: list[CoveredWall] = []
        self._drawn: list[tuple[tuple, Item]] = []
        for door in state.doors:
            if door.room == room_index:
                self.space.occupy(door.footprint, door.item.size[2])

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)

    def draw(self, category: str, **options: Any) -> Item:
        """Make an item, or take an unplaced one from the stock.

        Varied categories get a colour of the house that no item of the category has yet.
        """
        key = (category, *sorted(options.items()))
        unplaced = self.state.stock.get(key)
        item = unplaced.pop() if unplaced else self.state.make(category, **options)
        taken = self.state.seen | {(o.item.category, o.item.colour) for o in self.objects}
        if category in _VARIED and (category, item.colour) in taken:
            style = self.state.style
            palettes = {"rug": style.rugs, "picture": style.paintings}
            names = {str(colour.name) for colour in palettes.get(category, style.fabrics)}
            fresh = sorted(name for name in names if (category, name) not in taken)
            if fresh:
                colour = self.shuffled(fresh)[0]
                item = self.state.make(category, **options, colour=colour)
        self._drawn.append((key, item))
        return item

    def return_unplaced(self) -> None:
        """Return drawn but unplaced items to the stock of the house."""
        placed = {id(o.item) for o in self.objects}
        for key, item in self._drawn:
            if id(item) not in placed:
                self.state.stock.setdefault(key, []).append(item)
        self._drawn.clear()

    def put(self, item: Item, pose: ItemPose, z: float = 0.0, blocks: bool = True) -> ItemPose:
        """Place an item without checking whether it fits; `z` is its height above the floor."""
        depth = FRONT_SPACE.get(item.category, 0.0)
        if blocks:
            access = front_box(item.size, pose, depth) if depth else None
            self.space.occupy(footprint(item.size, pose), item.size[2], access)
        position = (float(pose.x), float(pose.y), float(z) + self.space.room.floor)
        placed = PlacedObject(item, self.space.room.index, position, float(pose.angle), blocks)
        self.objects.append(placed)
        return pose

    def allows(self, item: Item, pose: ItemPose, tucked: bool = False) -> bool:
        """Return whether a pose is free for an item and the floor stays walkable with it."""
        depth = FRONT_SPACE.get(item.category, 0.0)
        front = front_box(item.size, pose, depth) if depth else None
        box = footprint(item.size, pose)
        is_free = self.space.fits(box, item.size[2], front, tucked=tucked)
        return is_free and self.space.stays_walkable([box])

    def shuffled(self, values: Iterable[Any]) -> list[Any]:
        """Return the values in random order."""
        values = list(values)
        return [values[i] for i in self.rng.permutation(len(values))]

    def poses(self, item: Item, where: str = "any") -> list[ItemPose]:
        """Return free poses of an item against the walls in random order."""
        front = FRONT_SPACE.get(item.category, 0.0)
        return self.shuffled(self.space.wall_poses(item.size, front, where))

    def against_wall(
        self,
        item: Item,
        where: str = "any",
        near: tuple[float, float] | None = None,
    ) -> ItemPose | None:
        """Place an item with its back to a wall, if possible close to a point `near`."""
        poses = self.poses(item, where)
        if near is not None:
            poses.sort(key=lambda p: abs(p.x - near[0]) + abs(p.y - near[1]))
        for pose in poses:
            if self.space.stays_walkable([footprint(item.size, pose)]):
                return self.put(item, pose)
        return None

    def require(self, category: str, where: str = "any", **options: Any) -> ItemPose | None:
        """Place an item of a category at a wall; try several items, because sizes differ."""
        for _ in range(_SIZE_DRAWS):
            pose = self.against_wall(self.draw(category, **options), where)
            if pose is not None:
                return pose
        self.missing.append(category)
        return None

    def try_put(self, item: Item, pose: ItemPose, tucked: bool = False) -> bool:
        """Place an item at a pose if it is allowed there; return whether it is."""
        if not self.allows(item, pose, tucked):
            return False
        self.put(item, pose)
        return True

    def lay_rug(self, pose: ItemPose, **options: Any) -> bool:
        """Lay a rug if it overlaps no wall and no other rug; return whether it does not."""
        rug = self.draw("rug", **options)
        box = footprint(rug.size, pose)
        others = [o.footprint for o in self.objects if o.item.category == "rug"]
        if not box.within(self.space.inner) or any(box.overlaps(other) for other in others):
            return False
        self.put(rug, pose, blocks=False)
        return True

    def is_full(self) -> bool:
        """Return whether furniture covers the maximum share of the floor."""
        inner = self.space.inner
        area = (inner.x1 - inner.x0) * (inner.y1 - inner.y0)
        boxes = [o.footprint for o in self.objects if o.blocks_floor]
        covered = sum((b.x1 - b.x0) * (b.y1 - b.y0) for b in boxes)
        return covered > _FULLEST * area

    def hang(self, item: Item, side: str, along: float, z: float, margin: float = 0.08) -> bool:
        """Hang an item centred at height `z` if the piece of wall is free; return whether it is."""
        width, depth, height = item.size
        start, end = along - width / 2, along + width / 2
        piece = CoveredWall(side, start, end, z - height / 2, z + height / 2)
        if not self._wall_is_free(piece, margin, max(_HANGING_DEPTH, depth)):
            return False
        self.covered.append(piece)
        self.put(item, self.space.wall_pose(side, along, 0.005), z, blocks=False)
        return True

    def _wall_is_free(self, piece: CoveredWall, margin: float, depth: float) -> bool:
        space = self.space
        low, high = space.span(piece.side)
        start, end = piece.start - margin, piece.end + margin
        if start < low or end > high:
            return False
        strip = space.wall_strip(piece.side, start, end, depth)
        if any(o.box.overlaps(strip) and o.height > piece.bottom for o in space.obstacles):
            return False
        if any(curtain.overlaps(strip) for curtain in space.curtains):
            return False
        for opening in space.openings:
            if space.side_of(opening) == piece.side and opening.bottom < piece.top:
                if opening.start - 0.1 < end and opening.end + 0.1 > start:
                    if opening.top + 0.1 > piece.bottom:
                        return False
        return not any(
            h.side == piece.side
            and h.start < end
            and h.end > start
            and h.bottom < piece.top
            and h.top > piece.bottom
            for h in self.covered
        )
