"""Bathroom furniture."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    CERAMIC,
    CHROME,
    WHITE,
    Item,
    bar_handle,
    cabinetry,
    cloth,
    darker,
    finished,
    knob,
    slab,
)
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    lathe,
    sheet,
    stretch,
    transform,
    tube,
)

CLEAR = Material("glass", (0.84, 0.93, 0.93))


def toilet(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white toilet with seat and cistern."""
    del rng, style, colour
    bowl = [(0, 0), (0.13, 0), (0.11, 0.10), (0.16, 0.28), (0.20, 0.37), (0.205, 0.40)]
    seat = [
        (0.12, 0.40),
        (0.21, 0.40),
        (0.21, 0.425),
        (0.12, 0.43),
        (0.11, 0.40),
        (0.08, 0.30),
        (0, 0.27),
    ]
    oval = stretch([lathe(bowl, CERAMIC, sides=20), lathe(seat, WHITE, sides=20)], (1, 1.28, 1))
    lid = stretch([cylinder(0.205, 0.025, WHITE, (0, 0, -0.0125), sides=20)], (1, 1.25, 1))
    parts = transform(oval, offset=(0, -0.10, 0))
    parts += transform(transform(lid, np.pi / 2 - 0.15, axis="x"), offset=(0, 0.13, 0.66))
    parts += [
        box((0.22, 0.20, 0.36), CERAMIC, (0, 0.16, 0.18), bevel=0.03),
        box((0.42, 0.18, 0.38), CERAMIC, (0, 0.26, 0.60), bevel=0.035),
        box((0.44, 0.20, 0.03), CERAMIC, (0, 0.26, 0.80), bevel=0.012),
        cylinder(0.025, 0.012, CHROME, (0, 0.26, 0.812), sides=12),
    ]
    return finished("toilet", parts, "white", "ceramic")


def washbasin(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a basin with a tap on a cupboard with two doors; `colour` is that of the cupboard."""
    finish = cabinetry(rng, style, colour)
    width = pick(rng, (0.7, 0.9))
    parts = [
        box((width, 0.46, 0.66), finish.surface, (0, 0, 0.44)),
        box((width - 0.06, 0.40, 0.11), darker(finish.surface, 0.5), (0, 0.02, 0.055)),
        box((width + 0.03, 0.50, 0.035), style.counter_top, (0, 0, 0.79)),
    ]
    for side in (-1, 1):
        parts += slab(
            (width / 2 - 0.02, 0.02, 0.60),
            darker(finish.surface, 0.94),
            (side * width / 4, -0.23, 0.44),
        )
        parts.append(knob(style.metal, (side * 0.05, -0.27, 0.58)))
    bowl = [(0, 0), (0.12, 0.0), (0.18, 0.05), (0.21, 0.14), (0.19, 0.14), (0.15, 0.06), (0, 0.03)]
    parts += stretch([lathe(bowl, CERAMIC, sides=24)], (1.2, 1, 1), (0, -0.03, 0.81))
    tap = [(0, 0.19, 0.80), (0, 0.19, 1.02), (0, 0.16, 1.06), (0, 0.09, 1.06), (0, 0.06, 1.02)]
    parts.append(tube(tap, 0.015, CHROME, sides=8))
    return finished("washbasin", parts, finish.colour, finish.word)


def bathtub(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white built-in bathtub with a tap and a towel over its side."""
    del colour
    width, depth, height, rim = 1.7, 0.75, 0.56, 0.08
    parts = [box((width, depth, height - 0.02), CERAMIC, (0, 0, (height - 0.02) / 2), faces="xXyY")]
    for side in (-1, 1):
        x, y = side * (width - rim) / 2, side * (depth - rim) / 2
        parts.append(box((rim, depth, 0.05), CERAMIC, (x, 0, height - 0.02), bevel=0.018))
        parts.append(box((width, rim, 0.05), CERAMIC, (0, y, height - 0.02), bevel=0.018))
    parts.append(_hollow(width - 1.5 * rim, depth - 1.5 * rim, height))
    spout = [
        (0.8, 0, height),
        (0.8, 0, height + 0.14),
        (0.76, 0, height + 0.17),
        (0.66, 0, height + 0.13),
    ]
    parts.append(tube(spout, 0.02, CHROME, sides=8))
    towel = cloth(rng, style).surface
    parts.append(box((0.42, 0.02, 0.40), towel, (-0.35, -depth / 2 - 0.01, height - 0.17)))
    parts.append(box((0.42, 0.13, 0.02), towel, (-0.35, -depth / 2 + 0.045, height + 0.015)))
    return finished("bathtub", parts, "white", "ceramic")


def _hollow(width: float, depth: float, height: float) -> Part:
    """Build the inside of a tub, 0.42 m deep, open at the top."""
    x, y = np.meshgrid(np.linspace(-1, 1, 22), np.linspace(-1, 1, 12), indexing="ij")
    square = np.clip(1 - np.maximum(np.abs(x) ** 4, np.abs(y) ** 4) ** 1.2, 0, 1)
    points = np.stack([x * width / 2, y * depth / 2, height - 0.42 * np.sqrt(square)], -1)
    return sheet(points, CERAMIC, points[..., :2])


def shower(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white, half open cabin of clear panes with a tiled back."""
    del colour
    side, height = 0.9, 2.05
    tiles = Material("wall_tiles", pick(rng, style.fabrics).rgb)
    tall, middle, edge = height - 0.12, (height + 0.12) / 2, side / 2 - 0.02
    parts = [
        box((side, side, 0.12), CERAMIC, (0, 0, 0.06), bevel=0.02),
        box((side, 0.03, tall), tiles, (0, side / 2 - 0.015, middle)),
        box((0.45, 0.012, tall), CLEAR, (edge - 0.225, -edge, middle)),
        bar_handle(CHROME, (0.06, -edge - 0.03, 1.1), 0.4, upright=True),
    ]
    for x in (-edge, edge):
        parts.append(box((0.012, side - 0.06, tall), CLEAR, (x, 0, middle)))
        for z in (0.14, height - 0.015):
            parts.append(box((0.03, side - 0.04, 0.03), CHROME, (x, 0, z)))
    for x, y in ((edge, -edge), (edge, edge), (-edge, -edge), (-edge, edge), (0.0, -edge)):
        parts.append(box((0.03, 0.03, tall), CHROME, (x, y, middle)))
    parts.append(box((side - 0.04, 0.03, 0.03), CHROME, (0, -edge, height - 0.015)))
    pipe = [(-0.2, 0.38, 1.0), (-0.2, 0.38, 1.90), (-0.2, 0.30, 1.97), (-0.2, 0.18, 1.97)]
    parts.append(tube(pipe, 0.015, CHROME))
    parts.append(cylinder(0.11, 0.03, CHROME, (-0.2, 0.15, 1.92)))
    parts.append(box((0.22, 0.05, 0.06), CHROME, (-0.2, 0.38, 1.05)))
    return finished("shower", parts, "white", "glass")


def towel_rail(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a heated towel rail with a towel on it; `colour` is that of the towel."""
    towel = cloth(rng, style, colour)
    parts = [tube([(x, -0.05, -0.45), (x, -0.05, 0.45)], 0.018, CHROME) for x in (-0.24, 0.24)]
    for z in np.linspace(-0.40, 0.40, 7):
        parts.append(tube([(-0.24, -0.05, z), (0.24, -0.05, z)], 0.012, CHROME))
    for x in (-0.24, 0.24):
        parts.append(box((0.03, 0.05, 0.03), CHROME, (x, -0.025, 0.30)))
    parts.append(box((0.40, 0.07, 0.52), towel.surface, (0, -0.05, 0.04), bevel=0.02))
    return finished("towel rail", parts, towel.colour, towel.word, "wall")
