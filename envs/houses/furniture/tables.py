"""Tables and desks."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    Finish,
    Item,
    bar_handle,
    cabinetry,
    finished,
    paint,
    posts,
    timber,
)
from clipnav.envs.houses.furniture.lighting_fixtures import table_lamp
from clipnav.envs.houses.furniture.plants import vase
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import Material, Part, box, cylinder, quad, transform


def dining_table(
    rng: np.random.Generator, style: Style, width: float = 1.6, colour: str | None = None
) -> Item:
    """Build a dining table, 0.75 m high, with a vase on it."""
    finish = timber(rng, style, colour)
    parts = _four_legged(finish, width, 0.9, 0.75)
    parts += transform(vase(rng, style), offset=(0, 0, 0.75))
    return finished("dining table", parts, finish.colour, finish.word)


def _four_legged(finish: Finish, width: float, depth: float, height: float) -> list[Part]:
    surface = finish.surface
    parts = [box((width, depth, 0.045), surface, (0, 0, height - 0.0225), bevel=0.01)]
    parts += posts(width - 0.06, depth - 0.06, height - 0.04, surface, 0.07)
    for side in (-1, 1):
        z = height - 0.09
        parts.append(box((width - 0.18, 0.02, 0.08), surface, (0, side * (depth / 2 - 0.06), z)))
        parts.append(box((0.02, depth - 0.18, 0.08), surface, (side * (width / 2 - 0.06), 0, z)))
    return parts


def coffee_table(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a low table with books and a vase: four-legged with a shelf, or round."""
    finish = cabinetry(rng, style, colour)
    if rng.random() < 0.3:
        parts = [cylinder(0.42, 0.04, finish.surface, (0, 0, 0.38), sides=32)]
        parts += posts(0.5, 0.5, 0.38, finish.surface, 0.045)
    else:
        width = rng.uniform(0.95, 1.2)
        parts = _four_legged(finish, width, 0.56, 0.42)
        parts.append(box((width - 0.12, 0.44, 0.025), finish.surface, (0, 0, 0.15)))
    for k in range(2):
        cover = paint(pick(rng, style.fabrics).rgb)
        parts.append(box((0.25 - 0.03 * k, 0.18, 0.03), cover, (0.2, 0.03, 0.435 + 0.03 * k)))
    parts += transform(vase(rng, style), offset=(-0.18, 0, 0.42))
    return finished("coffee table", parts, finish.colour, finish.word)


def desk(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a desk with drawers, a computer and a lamp."""
    finish = cabinetry(rng, style, colour)
    surface, width, depth, height = finish.surface, 1.4, 0.66, 0.74
    parts = _four_legged(finish, width, depth, height)
    parts.append(box((0.38, depth - 0.08, 0.60), surface, (0.46, 0.01, 0.40)))
    for k in range(3):
        z = 0.20 + 0.195 * k
        parts.append(box((0.35, 0.02, 0.175), surface, (0.46, -0.295, z)))
        parts.append(bar_handle(style.metal, (0.46, -0.32, z), 0.12))
    parts += transform(_computer(), offset=(-0.14, 0, height))
    parts += transform(table_lamp(rng, style), offset=(0.54, 0.16, height))
    return finished("desk", parts, finish.colour, finish.word)


def _computer() -> list[Part]:
    """Build monitor, keyboard and mouse on z = 0."""
    picture = quad((-0.29, 0.128, 0.13), (0.58, 0, 0), (0, 0, 0.33), Material("monitor"), 1, True)
    return [
        box((0.62, 0.03, 0.37), BLACK, (0, 0.145, 0.295)),
        picture,
        box((0.06, 0.03, 0.16), BLACK, (0, 0.17, 0.09)),
        box((0.24, 0.18, 0.015), BLACK, (0, 0.16, 0.0075)),
        box((0.42, 0.14, 0.016), BLACK, (0, -0.12, 0.01)),
        quad((-0.21, -0.19, 0.019), (0.42, 0, 0), (0, 0.14, 0), Material("keyboard"), 1, True),
        box((0.06, 0.10, 0.03), BLACK, (0.30, -0.12, 0.015), bevel=0.012),
    ]
