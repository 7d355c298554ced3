"""Procedural furniture: `make_item` makes an item of any category in the style of a house."""

from collections.abc import Callable
from typing import Any

import numpy as np

from clipnav.envs.houses.furniture import (
    large_pieces,
    pastimes,
    small_things,
    utility_rooms,
    wall_and_floor,
)
from clipnav.envs.houses.furniture.item import Item
from clipnav.envs.houses.materials.style import Style
from clipnav.storage.errors import UserError

__all__ = ["CATEGORIES", "Item", "make_item"]

MAKERS: dict[str, Callable[..., Item]] = {
    "bed": large_pieces.bed,
    "nightstand": large_pieces.nightstand,
    "wardrobe": large_pieces.wardrobe,
    "dresser": large_pieces.dresser,
    "sofa": large_pieces.sofa,
    "armchair": large_pieces.armchair,
    "coffee table": large_pieces.coffee_table,
    "tv stand": large_pieces.tv_stand,
    "bookshelf": large_pieces.bookshelf,
    "floor lamp": small_things.floor_lamp,
    "plant": small_things.plant,
    "dining table": large_pieces.dining_table,
    "chair": large_pieces.chair,
    "sideboard": large_pieces.sideboard,
    "kitchen counter": utility_rooms.kitchen_counter,
    "kitchen sink": utility_rooms.kitchen_sink,
    "stove": utility_rooms.stove,
    "fridge": utility_rooms.fridge,
    "kitchen cabinet": utility_rooms.kitchen_cabinet,
    "range hood": utility_rooms.range_hood,
    "stool": large_pieces.stool,
    "desk": large_pieces.desk,
    "office chair": large_pieces.office_chair,
    "toilet": utility_rooms.toilet,
    "washbasin": utility_rooms.washbasin,
    "bathtub": utility_rooms.bathtub,
    "shower": utility_rooms.shower,
    "mirror": wall_and_floor.mirror,
    "picture": wall_and_floor.picture,
    "rug": wall_and_floor.rug,
    "curtain": wall_and_floor.curtain,
    "ceiling light": small_things.ceiling_light,
    "washing machine": utility_rooms.washing_machine,
    "laundry basket": utility_rooms.laundry_basket,
    "treadmill": pastimes.treadmill,
    "exercise ball": pastimes.exercise_ball,
    "piano": pastimes.piano,
    "toy chest": pastimes.toy_chest,
    "coat rack": utility_rooms.coat_rack,
    "shoe rack": utility_rooms.shoe_rack,
    "aquarium": pastimes.aquarium,
    "fireplace": pastimes.fireplace,
    "grandfather clock": pastimes.grandfather_clock,
    "entrance bench": large_pieces.entrance_bench,
    "wall clock": wall_and_floor.wall_clock,
    "statue": pastimes.statue,
    "globe": pastimes.globe,
    "guitar": pastimes.guitar,
    "dumbbell rack": pastimes.dumbbell_rack,
    "rocking horse": pastimes.rocking_horse,
    "teddy bear": pastimes.teddy_bear,
    "umbrella stand": utility_rooms.umbrella_stand,
    "ironing board": utility_rooms.ironing_board,
    "trash can": utility_rooms.trash_can,
    "towel rail": utility_rooms.towel_rail,
    "door": wall_and_floor.door,
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
