"""Door leaves."""

import numpy as np

from clipnav.envs.houses.furniture.item import Item, darker, finished, paint, shade, wood_surface
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.meshes.geometry import Material, Part, box

LEAF_THICKNESS = 0.04


def door(
    rng: np.random.Generator,
    style: Style,
    width: float = 0.85,
    height: float = 2.03,
    colour: str | None = None,
) -> Item:
    """Build the leaf of an inner door with two panels, its handle at +x, the hinges at -x."""
    drawn = shade(rng, (*style.paints, style.woods[0]), colour)
    wooden = drawn in style.woods
    surface = wood_surface(drawn) if wooden else paint(drawn.rgb)
    parts = [box((width, LEAF_THICKNESS, height), surface, (0, 0, height / 2), cell=0.7)]
    panel = darker(surface, 0.86)
    for side in (-1, 1):
        y = side * (LEAF_THICKNESS / 2 + 0.004)
        for low, high in ((0.14, 0.92), (1.12, height - 0.14)):
            size = (width - 0.26, 0.012, high - low)
            parts.append(box(size, panel, (0, y, (low + high) / 2)))
        parts += _lever(style.metal, width / 2 - 0.07, side)
    return finished("door", parts, drawn.name, "wooden" if wooden else "")


def _lever(metal: Material, x: float, side: int) -> list[Part]:
    """Build a handle on one face of a leaf, pointing to the hinges."""
    y = side * (LEAF_THICKNESS / 2 + 0.03)
    return [
        box((0.035, 0.012, 0.16), metal, (x, side * (LEAF_THICKNESS / 2 + 0.005), 1.02)),
        box((0.02, 0.05, 0.02), metal, (x, y - side * 0.005, 1.05)),
        box((0.13, 0.018, 0.02), metal, (x - 0.05, y + side * 0.02, 1.05)),
    ]
