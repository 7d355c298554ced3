"""Kitchen units and household appliances.

All kitchen units of one house have the same fronts and worktop, so that they form one run.
"""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    CHROME,
    DARK_STEEL,
    STEEL,
    WHITE,
    Item,
    bar_handle,
    darker,
    finished,
    paint,
    shade,
    slab,
)
from clipnav.envs.houses.furniture.plants import fruit
from clipnav.envs.houses.materials.colours import Colour
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    frustum,
    lathe,
    quad,
    transform,
    tube,
)

STEEL_GREY = Colour("grey", (0.66, 0.67, 0.69))
ENAMEL_WHITE = Colour("white", (0.95, 0.95, 0.94))
WORKTOP = 0.92
DEPTH = 0.62


def _fronts(rng: np.random.Generator, style: Style, colour: str | None) -> tuple[Material, str]:
    drawn = shade(rng, (style.kitchen,), colour)
    texture = "wood" if drawn in style.woods or drawn.name == "brown" else "plain"
    return Material(texture, drawn.rgb), drawn.name


def _base(style: Style, width: float, front: Material) -> list[Part]:
    """Build carcass, plinth and worktop, with a drawer over a door every 0.6 m."""
    units = max(1, round(width / 0.6))
    parts = [
        box((width, 0.55, 0.79), front, (0, 0.03, 0.485)),
        box((width, 0.48, 0.09), BLACK, (0, 0.06, 0.045)),
        box((width, DEPTH, 0.04), style.counter_top, (0, 0, WORKTOP - 0.02), cell=0.3),
    ]
    face = darker(front, 0.94)
    for k in range(units):
        x, broad = (k - (units - 1) / 2) * width / units, width / units - 0.012
        parts += slab((broad, 0.02, 0.56), face, (x, -0.245, 0.385))
        parts.append(box((broad, 0.02, 0.17), face, (x, -0.255, 0.765)))
        parts.append(bar_handle(style.metal, (x, -0.285, 0.62), 0.16))
        parts.append(bar_handle(style.metal, (x, -0.285, 0.765), 0.16))
    return parts


def kitchen_counter(
    rng: np.random.Generator, style: Style, width: float = 0.6, colour: str | None = None
) -> Item:
    """Build a stretch of worktop over cupboards, with a board, fruit or jars on it."""
    front, name = _fronts(rng, style, colour)
    parts = _base(style, width, front)
    clutter = _chopping_board() if rng.random() < 0.5 else _jars(rng, style)
    parts += transform(clutter, offset=(0, 0.05, WORKTOP))
    return finished("kitchen counter", parts, name)


def _chopping_board() -> list[Part]:
    """Build a board with fruit on z = 0."""
    board = box((0.36, 0.22, 0.02), Material("wood", (0.78, 0.58, 0.38)), (0, 0, 0.01))
    return [board, *transform(fruit(), offset=(0, 0, 0.02))]


def _jars(rng: np.random.Generator, style: Style) -> list[Part]:
    """Build three lidded jars of decreasing size."""
    glaze = paint(style.fabrics[int(rng.integers(4))].rgb)
    parts = []
    for k in range(3):
        at, height = (-0.16 + 0.16 * k, 0.1, 0), 0.22 - 0.04 * k
        parts.append(cylinder(0.06, height, glaze, at, sides=12))
        parts.append(cylinder(0.062, 0.02, CHROME, (at[0], at[1], height), sides=12))
    return parts


def kitchen_sink(
    rng: np.random.Generator, style: Style, width: float = 0.8, colour: str | None = None
) -> Item:
    """Build a steel basin with a tall tap in the worktop."""
    front, name = _fronts(rng, style, colour)
    parts = _base(style, width, front)
    parts += [
        box((0.60, 0.46, 0.012), STEEL, (0, -0.02, WORKTOP + 0.004)),
        box((0.50, 0.34, 0.004), DARK_STEEL, (0, -0.04, WORKTOP + 0.011)),
        cylinder(0.03, 0.006, CHROME, (0, -0.04, WORKTOP + 0.012), sides=10),
    ]
    tap = [(0, 0.18, 0.92), (0, 0.18, 1.18), (0, 0.14, 1.25), (0, 0.06, 1.25), (0, 0.02, 1.18)]
    parts.append(tube(tap, 0.016, CHROME, sides=8))
    parts.append(tube([(0.02, 0.18, 0.97), (0.09, 0.16, 1.0)], 0.009, CHROME))
    for k in range(4):
        plate = cylinder(0.11, 0.012, paint((0.95, 0.95, 0.93)), sides=16)
        upright = transform([plate], np.pi / 2, axis="y")
        parts += transform(upright, offset=(0.24 + 0.03 * k - 0.02, 0.21, WORKTOP + 0.11))
    return finished("kitchen sink", parts, name)


def stove(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a free-standing cooker with an oven door, four rings and a pot."""
    drawn = shade(rng, (style.kitchen,), colour).name if colour else None
    body = {"black": paint((0.10, 0.10, 0.11)), "white": paint((0.94, 0.94, 0.93))}.get(
        drawn or "", STEEL
    )
    name = drawn if drawn in ("black", "white") else "grey"
    parts = [
        box((0.60, 0.58, 0.88), body, (0, 0.02, 0.44)),
        box((0.60, DEPTH, 0.035), BLACK, (0, 0, WORKTOP - 0.018)),
        box((0.56, 0.03, 0.56), darker(body, 0.85), (0, -0.28, 0.42)),
        quad((-0.22, -0.296, 0.26), (0.44, 0, 0), (0, 0, 0.30), Material("screen"), 0.5, True),
        bar_handle(CHROME, (0, -0.33, 0.64), 0.48),
    ]
    for k in range(5):
        dial = cylinder(0.024, 0.03, BLACK, sides=10)
        parts += transform([dial], np.pi / 2, (-0.22 + 0.11 * k, -0.27, 0.80), axis="x")
    for x, y, radius in (
        (-0.14, -0.13, 0.09),
        (0.14, -0.13, 0.075),
        (-0.14, 0.13, 0.075),
        (0.14, 0.13, 0.09),
    ):
        ring = [(radius, 0.002), (radius + 0.012, 0.008), (radius + 0.024, 0.002)]
        # The profile runs outwards over the top; reversed, its surface faces up.
        parts.append(lathe(ring[::-1], DARK_STEEL, (x, y, WORKTOP), sides=18))
    pot = [(0, 0), (0.10, 0), (0.11, 0.13), (0.095, 0.13), (0.09, 0.02), (0, 0.02)]
    parts.append(lathe(pot, paint((0.75, 0.15, 0.12)), (-0.14, 0.13, WORKTOP + 0.008), sides=16))
    return finished("stove", parts, name, "metal")


def kitchen_cabinet(
    rng: np.random.Generator, style: Style, width: float = 0.6, colour: str | None = None
) -> Item:
    """Build a wall cupboard, 0.7 m high."""
    front, name = _fronts(rng, style, colour)
    doors = max(1, round(width / 0.5))
    parts = [box((width, 0.33, 0.70), front, (0, -0.165, 0))]
    for k in range(doors):
        x = (k - (doors - 1) / 2) * width / doors
        parts += slab((width / doors - 0.012, 0.02, 0.68), darker(front, 0.94), (x, -0.33, 0))
        inward = 1 if k % 2 == 0 else -1
        grip = (x + inward * (width / doors / 2 - 0.05), -0.37, -0.22)
        parts.append(bar_handle(style.metal, grip, 0.14, upright=True))
    return finished("kitchen cabinet", parts, name, "", "wall")


def range_hood(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a steel canopy with a chimney, for the wall over a stove."""
    del rng, style, colour
    parts = [
        box((0.60, 0.50, 0.06), STEEL, (0, 0, -0.27)),
        frustum((0.60, 0.50), (0.24, 0.24), 0.20, STEEL, (0, 0, -0.24)),
        box((0.24, 0.37, 0.50), darker(STEEL, 0.92), (0, 0.065, 0.20)),
        box((0.40, 0.012, 0.03), BLACK, (0, -0.252, -0.27)),
        box((0.44, 0.34, 0.01), DARK_STEEL, (0, 0, -0.302)),
    ]
    return finished("range hood", parts, "grey", "metal", "wall")


def fridge(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a tall refrigerator over a freezer, with magnets and a note on the door."""
    del style
    palette = (
        STEEL_GREY,
        STEEL_GREY,
        ENAMEL_WHITE,
        ENAMEL_WHITE,
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
    """Build a front-loading washing machine with a round glass door."""
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
