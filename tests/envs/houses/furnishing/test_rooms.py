import logging
from collections import Counter
from itertools import combinations
from math import cos, pi, sin

import numpy as np
import pytest
from scipy import ndimage

from clipnav.envs.houses.furnishing.room_builder import PlacedObject
from clipnav.envs.houses.furnishing.rooms import furnish
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.plan.floor_plan import WALL_HEIGHT, FloorPlan, Room
from clipnav.envs.houses.plan.storey_plans import make_floor_plan

SEEDS = range(6)
CELL = 0.04
# Required categories by kind of room; a set means one of several.
REQUIRED: dict[str, tuple[str | set[str], ...]] = {
    "hallway": (),
    "living room": ("sofa", "tv stand", "coffee table"),
    "kitchen": ("kitchen sink", "stove", "range hood", "fridge", "kitchen cabinet"),
    "dining room": ("dining table", "chair"),
    "bathroom": ({"bathtub", "shower"}, "toilet", "washbasin", "mirror"),
    "bedroom": ("bed", "nightstand"),
    "kid's bedroom": ("bed", "toy chest"),
    "office": ("desk", "office chair", "bookshelf"),
    "library": ("bookshelf", "armchair"),
    "laundry room": ("washing machine", "laundry basket"),
    "gym": ("treadmill", "exercise ball", "dumbbell rack"),
    "closet": ("wardrobe", "shoe rack"),
    "music room": ("piano", "guitar"),
}
# Seats and the tables under which they are tucked.
TUCKED = {("chair", "dining table"), ("chair", "desk"), ("office chair", "desk")}


@pytest.fixture(scope="module")
def houses() -> list[tuple[FloorPlan, list[PlacedObject]]]:
    plans = [make_floor_plan(seed) for seed in SEEDS]
    return [(p, furnish(p, np.random.default_rng(k), make_style(k))) for k, p in enumerate(plans)]


def of_room(objects: list[PlacedObject], room: int) -> list[PlacedObject]:
    return [placed for placed in objects if placed.room == room]


def free_floor(plan: FloorPlan, objects: list[PlacedObject]) -> np.ndarray:
    """Return the distance in metres from each free cell to the nearest wall or object."""
    free = np.zeros((round(plan.width / CELL), round(plan.depth / CELL)), dtype=bool)

    def fill(x0: float, y0: float, x1: float, y1: float, value: bool) -> None:
        rows = slice(max(0, round(x0 / CELL)), round(x1 / CELL))
        free[rows, max(0, round(y0 / CELL)) : round(y1 / CELL)] = value

    for room in plan.rooms:
        fill(room.x0 + 0.06, room.y0 + 0.06, room.x1 - 0.06, room.y1 - 0.06, True)
    for o in plan.openings:
        if o.is_passage and o.axis == "x":
            fill(o.start, o.position - 0.1, o.end, o.position + 0.1, True)
        elif o.is_passage:
            fill(o.position - 0.1, o.start, o.position + 0.1, o.end, True)
    for placed in objects:
        if placed.blocks_floor:
            fill(*placed.footprint, False)
    return np.asarray(ndimage.distance_transform_edt(free)) * CELL


def test_rooms_have_their_required_furniture(houses):
    for plan, objects in houses:
        for room in plan.rooms:
            categories = {placed.item.category for placed in of_room(objects, room.index)}
            for needed in REQUIRED[room.kind]:
                assert categories & (needed if isinstance(needed, set) else {needed}), room
            lights = [o for o in of_room(objects, room.index) if o.item.mount == "ceiling"]
            assert len(lights) == (3 if room.kind == "hallway" else 1)


def test_libraries_and_dining_rooms_have_enough_furniture(houses):
    for plan, objects in houses:
        for room in plan.rooms:
            count = Counter(o.item.category for o in of_room(objects, room.index))
            if room.kind == "library":
                assert count["bookshelf"] >= 3
            if room.kind == "dining room":
                assert count["chair"] >= 4


def test_nothing_on_the_floor_overlaps(houses):
    for _, objects in houses:
        standing = [o for o in objects if o.blocks_floor]
        for a, b in combinations(standing, 2):
            names = (a.item.category, b.item.category)
            if names in TUCKED or names[::-1] in TUCKED:
                continue
            assert not a.footprint.grown(-0.001).overlaps(b.footprint), names


def test_objects_stay_inside_their_rooms(houses):
    for plan, objects in houses:
        for placed in objects:
            room, box = plan.rooms[placed.room], placed.footprint
            if placed.item.mount == "wall":
                assert room.contains(*placed.position[:2])
                assert placed.position[2] + placed.item.size[2] / 2 <= WALL_HEIGHT
            elif placed.item.mount == "floor":
                assert box.x0 >= room.x0 + 0.05
                assert box.y0 >= room.y0 + 0.05
                assert box.x1 <= room.x1 - 0.05
                assert box.y1 <= room.y1 - 0.05


def test_free_floor_is_one_region_that_reaches_every_room(houses):
    for plan, objects in houses:
        clearance = free_floor(plan, objects)
        pieces = np.zeros(clearance.shape, dtype=np.int32)
        ndimage.label(clearance >= 0.2, structure=np.ones((3, 3)), output=pieces)
        areas = np.bincount(pieces.ravel())
        areas[0] = 0
        main = pieces == areas.argmax()
        assert areas.max() > 0.99 * areas.sum()
        for room in plan.rooms:
            inside = np.zeros_like(main)
            rows = slice(round(room.x0 / CELL), round(room.x1 / CELL))
            inside[rows, round(room.y0 / CELL) : round(room.y1 / CELL)] = True
            assert (clearance[main & inside] >= 0.45).any(), room


def test_passages_stay_clear(houses):
    for plan, objects in houses:
        for opening in plan.openings:
            if not opening.is_passage and opening.kind != "entrance":
                continue
            x, y = opening.centre
            along_x = opening.axis == "x"
            for placed in objects:
                if not placed.blocks_floor or placed.item.category == "door":
                    continue
                b = placed.footprint
                dx = max(b.x0 - x, x - b.x1, 0.0)
                dy = max(b.y0 - y, y - b.y1, 0.0)
                beside, before = (dx, dy) if along_x else (dy, dx)
                assert beside >= opening.width / 2 or before >= 0.6, placed.item.category


def test_tall_items_do_not_hide_windows(houses):
    for plan, objects in houses:
        for window in (o for o in plan.openings if o.kind == "window"):
            for placed in of_room(objects, window.rooms[0]):
                if placed.item.size[2] <= window.bottom + 0.25 or not placed.blocks_floor:
                    continue
                b = placed.footprint
                low, high = (b.x0, b.x1) if window.axis == "x" else (b.y0, b.y1)
                near, far = (b.y0, b.y1) if window.axis == "x" else (b.x0, b.x1)
                gap = min(abs(near - window.position), abs(far - window.position))
                overlap = low < window.end - 0.11 and high > window.start + 0.11
                assert not overlap or gap > 0.6, placed.item.category


def test_sofas_face_the_television(houses):
    for plan, objects in houses:
        living = next(room.index for room in plan.rooms if room.kind == "living room")
        things = {o.item.category: o for o in of_room(objects, living)}
        sofa, tv = things["sofa"], things["tv stand"]
        assert (sofa.angle - tv.angle) % (2 * pi) == pytest.approx(pi)
        to_tv = np.subtract(tv.position[:2], sofa.position[:2])
        ahead = float(to_tv @ [sin(sofa.angle), -cos(sofa.angle)])
        aside = float(to_tv @ [cos(sofa.angle), sin(sofa.angle)])
        assert ahead > 1.9
        assert abs(aside) < 0.7


def test_chairs_face_their_tables(houses):
    for plan, objects in houses:
        dining = next(room.index for room in plan.rooms if room.kind == "dining room")
        things = of_room(objects, dining)
        table = next(o for o in things if o.item.category == "dining table").footprint
        for chair in (o for o in things if o.item.category == "chair"):
            x = chair.position[0] + 0.4 * sin(chair.angle)
            y = chair.position[1] - 0.4 * cos(chair.angle)
            assert table.x0 < x < table.x1
            assert table.y0 < y < table.y1


def test_kitchen_units_form_one_run(houses):
    for plan, objects in houses:
        kitchen = next(room.index for room in plan.rooms if room.kind == "kitchen")
        things = of_room(objects, kitchen)
        sink = next(o for o in things if o.item.category == "kitchen sink")
        stove = next(o for o in things if o.item.category == "stove")
        hood = next(o for o in things if o.item.category == "range hood")
        assert sink.angle == stove.angle == hood.angle
        along = np.array([cos(stove.angle), sin(stove.angle)])
        at = {id(o): float(along @ o.position[:2]) for o in (sink, stove, hood)}
        assert at[id(hood)] == pytest.approx(at[id(stove)])
        low, high = sorted((at[id(sink)], at[id(stove)]))
        covered = sum(
            o.item.size[0]
            for o in things
            if o.item.category == "kitchen counter"
            and o.angle == stove.angle
            and low < float(along @ o.position[:2]) < high
        )
        ends = (sink.item.size[0] + stove.item.size[0]) / 2
        assert covered + ends == pytest.approx(high - low, abs=0.02)


def test_doors_stand_open_beside_their_opening(houses):
    for plan, objects in houses:
        doors = [o for o in objects if o.item.category == "door"]
        openings = [o for o in plan.openings if o.kind == "door"]
        assert len(doors) == len(openings)
        for door, opening in zip(doors, openings, strict=True):
            assert plan.rooms[door.room].contains(*door.position[:2])
            hinge = opening.start if opening.hinge == "start" else opening.end
            along = door.position[0 if opening.axis == "x" else 1]
            assert abs(along - hinge) < 0.1


def test_furnishing_is_a_function_of_the_seed():
    plan, style = make_floor_plan(3), make_style(3)
    first, second = (furnish(plan, np.random.default_rng(5), style) for _ in range(2))

    def summary(objects):
        return [(o.item.category, o.item.colour, o.position, o.angle, o.room) for o in objects]

    assert summary(first) == summary(second)
    assert summary(furnish(plan, np.random.default_rng(6), style)) != summary(first)


def test_all_required_furniture_is_placed(caplog):
    with caplog.at_level(logging.WARNING):
        for seed in range(100, 103):
            furnish(make_floor_plan(seed), np.random.default_rng(seed), make_style(seed))
    assert not caplog.records


def test_the_warning_about_a_small_room_names_its_house(caplog):
    plan = FloorPlan(1.5, 1.5, (Room(0, "gym", 0, 0, 1.5, 1.5),), ())
    furnish(plan, np.random.default_rng(0), make_style(0), scan="house_99")
    (record,) = caplog.records
    assert record.getMessage().startswith("house_99: room 0 (gym) has no space for: treadmill")
