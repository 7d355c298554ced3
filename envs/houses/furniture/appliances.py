"""Large household machines."""

import numpy as np

from envs.houses.furniture.item import (
    BLACK,
    CHROME,
    DARK_STEEL,
    WHITE,
    Item,
    bar_handle,
    finished,
    paint,
    shade,
)
from envs.houses.materials.colours import Colour
from envs.houses.materials.style import Style
from envs.houses.meshes.geometry import Material, box, cylinder, lathe, quad, transform

STEEL_GREY = Colour("grey", (0.66, 0.67, 0.69))
ENAMEL_WHITE = Colour("white", (0.95, 0.95, 0.94))


def fridge(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A tall refrigerator over a freezer, with magnets and a note on the door."""
    palette = (
        STEEL_GREY,
        ENAMEL_WHITE,
        ENAMEL_WHITE,
        style.fabrics[0],
        Colour("black", (0.1, 0.1, 0.11)),
    )
    drawn = shade(rng, palette, colour)
    body = Material("metal" if drawn == STEEL_GREY else "plain", drawn.rgb)
    parts = [
        box((0.70, 0.62, 1.80), body, (0, 0.03, 0.93), bevel=0.015),
        box((0.69, 0.06, 0.62), body, (0, -0.31, 0.36), bevel=0.02),
        box((0.69, 0.06, 1.12), body, (0, -0.31, 1.26), bevel=0.02),
        box((0.66, 0.55, 0.04), BLACK, (0, 0.03, 0.02)),
        bar_handle(CHROME, (-0.28, -0.37, 0.54), 0.22, upright=True),
        bar_handle(CHROME, (-0.28, -0.37, 0.95), 0.36, upright=True),
        box((0.13, 0.004, 0.17), paint((0.97, 0.96, 0.85)), (0.10, -0.342, 1.45)),
    ]
    for x, z, rgb in (
        (0.12, 1.56, (0.8, 0.1, 0.1)),
        (-0.05, 1.62, (0.95, 0.8, 0.1)),
        (0.22, 1.35, (0.1, 0.4, 0.8)),
    ):
        parts.append(box((0.03, 0.012, 0.03), paint(rgb), (x, -0.346, z)))
    return finished("fridge", parts, drawn.name, "metal")


def washing_machine(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A front loader with a round glass door."""
    del style
    drawn = shade(rng, (ENAMEL_WHITE, ENAMEL_WHITE, STEEL_GREY), colour)
    body = Material("plain", drawn.rgb)
    ring = [(0.15, 0), (0.22, 0.0), (0.22, 0.03), (0.17, 0.045), (0.15, 0.02), (0, 0.03)]
    parts = [
        box((0.60, 0.56, 0.85), body, (0, 0, 0.425), bevel=0.015),
        box((0.58, 0.01, 0.12), DARK_STEEL, (0, -0.282, 0.77)),
        box((0.16, 0.012, 0.08), WHITE, (-0.18, -0.286, 0.77)),
        quad((0.08, -0.289, 0.745), (0.14, 0, 0), (0, 0, 0.05), Material("monitor"), 1, True),
    ]
    door = [
        lathe(ring[:5], CHROME, sides=24),
        lathe([(0.155, 0.02), (0, 0.045)], paint((0.13, 0.17, 0.22)), sides=24),
    ]
    parts += transform(door, np.pi / 2, (0, -0.28, 0.40), axis="x")
    parts += transform([cylinder(0.035, 0.03, CHROME)], np.pi / 2, (0.0, -0.287, 0.77), axis="x")
    return finished("washing machine", parts, drawn.name, "metal")
