"""Procedural furniture: `make_item` makes an item of any category in the style of a house."""

from collections.abc import Callable
from typing import Any

import numpy as np

from clipnav.envs.houses.furniture import (
    bathroom,
    beds,
    doors,
    hallway,
    kitchen,
    leisure,
    lighting_fixtures,
    plants,
    seating,
    showpieces,
    small_things,
    storage,
    tables,
    wall_and_floor,
)
from clipnav.envs.houses.furniture.item import Item
from clipnav.envs.houses.materials.style import Style
from clipnav.storage.errors import UserError

__all__ = ["CATEGORIES", "Item", "make_item"]

MAKERS: dict[str, Callable[..., Item]] = {
    "bed": beds.bed,
    "nightstand": storage.nightstand,
    "wardrobe": storage.wardrobe,
    "dresser": storage.dresser,
    "sofa": seating.sofa,
    "armchair": seating.armchair,
    "coffee table": tables.coffee_table,
    "tv stand": storage.tv_stand,
    "bookshelf": storage.bookshelf,
    "floor lamp": lighting_fixtures.floor_lamp,
    "plant": plants.plant,
    "dining table": tables.dining_table,
    "chair": seating.chair,
    "sideboard": storage.sideboard,
    "kitchen counter": kitchen.kitchen_counter,
    "kitchen sink": kitchen.kitchen_sink,
    "stove": kitchen.stove,
    "fridge": kitchen.fridge,
    "kitchen cabinet": kitchen.kitchen_cabinet,
    "range hood": kitchen.range_hood,
    "stool": seating.stool,
    "desk": tables.desk,
    "office chair": seating.office_chair,
    "toilet": bathroom.toilet,
    "washbasin": bathroom.washbasin,
    "bathtub": bathroom.bathtub,
    "shower": bathroom.shower,
    "mirror": wall_and_floor.mirror,
    "picture": wall_and_floor.picture,
    "rug": wall_and_floor.rug,
    "curtain": wall_and_floor.curtain,
    "ceiling light": lighting_fixtures.ceiling_light,
    "washing machine": kitchen.washing_machine,
    "laundry basket": hallway.laundry_basket,
    "treadmill": leisure.treadmill,
    "exercise ball": leisure.exercise_ball,
    "piano": leisure.piano,
    "toy chest": leisure.toy_chest,
    "coat rack": hallway.coat_rack,
    "shoe rack": hallway.shoe_rack,
    "aquarium": showpieces.aquarium,
    "fireplace": showpieces.fireplace,
    "grandfather clock": showpieces.grandfather_clock,
    "entrance bench": seating.entrance_bench,
    "wall clock": wall_and_floor.wall_clock,
    "statue": showpieces.statue,
    "globe": showpieces.globe,
    "guitar": leisure.guitar,
    "dumbbell rack": leisure.dumbbell_rack,
    "rocking horse": leisure.rocking_horse,
    "teddy bear": leisure.teddy_bear,
    "umbrella stand": hallway.umbrella_stand,
    "ironing board": hallway.ironing_board,
    "trash can": hallway.trash_can,
    "towel rail": bathroom.towel_rail,
    "door": doors.door,
    "cup": small_things.cup,
    "plate": small_things.plate,
    "fruit bowl": small_things.fruit_bowl,
    "bottle": small_things.bottle,
    "books": small_things.books,
    "laptop": small_things.laptop,
    "candle": small_things.candle,
    "shoes": small_things.shoes,
    "bag": small_things.bag,
    "ball": small_things.ball,
    "toy blocks": small_things.toy_blocks,
    "box": small_things.cardboard_box,
}
CATEGORIES: tuple[str, ...] = tuple(MAKERS)


def make_item(category: str, rng: np.random.Generator, style: Style, **options: Any) -> Item:
    """Make one piece of furniture."""
    if category not in MAKERS:
        raise UserError(f"no furniture named {category!r}; choose from {', '.join(CATEGORIES)}")
    return MAKERS[category](rng, style, **options)
