"""Furniture and appliances of kitchens, bathrooms, hallways and laundries.

All kitchen units of one house have the same fronts and worktop, so that they form one run.
"""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    CERAMIC,
    CHROME,
    DARK_STEEL,
    STEEL,
    WHITE,
    Item,
    bar_handle,
    cabinetry,
    cloth,
    darker,
    finished,
    knob,
    paint,
    posts,
    shade,
    slab,
    timber,
)
from clipnav.envs.houses.furniture.small_things import fruit
from clipnav.envs.houses.materials.colours import Colour
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    frustum,
    lathe,
    quad,
    sheet,
    sphere,
    stretch,
    transform,
    tube,
)

_STEEL_GREY = Colour("grey", (0.66, 0.67, 0.69))
_ENAMEL_WHITE = Colour("white", (0.95, 0.95, 0.94))
_WORKTOP = 0.92
DEPTH = 0.62
CLEAR = Material("glass", (0.84, 0.93, 0.93))
_WICKERS = (
    Colour("beige", (0.85, 0.74, 0.56)),
    Colour("brown", (0.50, 0.33, 0.19)),
    Colour("white", (0.95, 0.94, 0.92)),
)


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
        box((width, DEPTH, 0.04), style.counter_top, (0, 0, _WORKTOP - 0.02), cell=0.3),
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
    parts += transform(clutter, offset=(0, 0.05, _WORKTOP))
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
        box((0.60, 0.46, 0.012), STEEL, (0, -0.02, _WORKTOP + 0.004)),
        box((0.50, 0.34, 0.004), DARK_STEEL, (0, -0.04, _WORKTOP + 0.011)),
        cylinder(0.03, 0.006, CHROME, (0, -0.04, _WORKTOP + 0.012), sides=10),
    ]
    tap = [(0, 0.18, 0.92), (0, 0.18, 1.18), (0, 0.14, 1.25), (0, 0.06, 1.25), (0, 0.02, 1.18)]
    parts.append(tube(tap, 0.016, CHROME, sides=8))
    parts.append(tube([(0.02, 0.18, 0.97), (0.09, 0.16, 1.0)], 0.009, CHROME))
    for k in range(4):
        plate = cylinder(0.11, 0.012, paint((0.95, 0.95, 0.93)), sides=16)
        upright = transform([plate], np.pi / 2, axis="y")
        parts += transform(upright, offset=(0.24 + 0.03 * k - 0.02, 0.21, _WORKTOP + 0.11))
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
        box((0.60, DEPTH, 0.035), BLACK, (0, 0, _WORKTOP - 0.018)),
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
        parts.append(lathe(ring[::-1], DARK_STEEL, (x, y, _WORKTOP), sides=18))
    pot = [(0, 0), (0.10, 0), (0.11, 0.13), (0.095, 0.13), (0.09, 0.02), (0, 0.02)]
    parts.append(lathe(pot, paint((0.75, 0.15, 0.12)), (-0.14, 0.13, _WORKTOP + 0.008), sides=16))
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
    palette = (
        _STEEL_GREY,
        _STEEL_GREY,
        _ENAMEL_WHITE,
        _ENAMEL_WHITE,
        Colour("black", (0.1, 0.1, 0.11)),
    )
    drawn = shade(rng, palette, colour)
    body = Material("metal" if drawn == _STEEL_GREY else "plain", drawn.rgb)
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
    drawn = shade(rng, (_ENAMEL_WHITE, _ENAMEL_WHITE, _STEEL_GREY), colour)
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


def toilet(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white toilet with seat and cistern."""
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
    width, depth, height, rim = 1.7, 0.75, 0.56, 0.08
    parts = [box((width, depth, height - 0.02), CERAMIC, (0, 0, (height - 0.02) / 2), faces="xXyY")]
    for side in (-1, 1):
        x, y = side * (width - rim) / 2, side * (depth - rim) / 2
        parts.append(box((rim, depth, 0.05), CERAMIC, (x, 0, height - 0.02), bevel=0.018))
        parts.append(box((width, rim, 0.05), CERAMIC, (0, y, height - 0.02), bevel=0.018))
    x, y = np.meshgrid(np.linspace(-1, 1, 22), np.linspace(-1, 1, 12), indexing="ij")
    square = np.clip(1 - np.maximum(np.abs(x) ** 4, np.abs(y) ** 4) ** 1.2, 0, 1)
    points = np.stack(
        [x * (width - 1.5 * rim) / 2, y * (depth - 1.5 * rim) / 2, height - 0.42 * np.sqrt(square)],
        -1,
    )
    parts.append(sheet(points, CERAMIC, points[..., :2]))
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


def shower(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white, half open cabin of clear panes with a tiled back."""
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


def coat_rack(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a stand with two coats and a hat; `colour` is that of the longer coat."""
    long, short = cloth(rng, style, colour), cloth(rng, style)
    wood = timber(rng, style).surface
    parts = [
        cylinder(0.025, 1.75, wood, (0, 0, 0.03), sides=10),
        sphere(0.04, wood, (0, 0, 1.80), sides=8),
        cylinder(0.22, 0.04, wood, top_radius=0.12, sides=20),
    ]
    for turn in np.arange(6) * np.pi / 3:
        arm = transform([box((0.18, 0.02, 0.02), wood, (0.09, 0, 0))], -0.5, axis="y")
        parts += transform(arm, turn, (0, 0, 1.62))
    parts += transform(_coat(long.surface, 0.95), offset=(-0.15, -0.03, 0.70))
    parts += transform(_coat(short.surface, 0.70), 0.5, (0.15, 0.05, 0.95))
    brim = [(0, 0), (0.15, 0), (0.15, 0.015), (0.09, 0.02), (0.08, 0.12), (0, 0.13)]
    parts.append(lathe(brim, paint((0.25, 0.18, 0.12)), (0, 0, 1.78), sides=14))
    return finished("coat rack", parts, long.colour)


def _coat(surface: Material, length: float) -> list[Part]:
    """Build a coat on a hook, its hem at z = 0."""
    hem = [(0, 0), (0.19, 0), (0.16, length * 0.5), (0.15, length * 0.82), (0.04, length)]
    body = lathe(hem, surface, sides=12, crease=1.0)
    flat = body.positions * (1, 0.7, 1)
    body.positions[:] = flat
    shoulder, cuff = length * 0.84, length * 0.28
    arms = [
        tube([(s * 0.12, 0, shoulder), (s * 0.20, -0.02, cuff)], (0.05, 0.06), surface)
        for s in (-1, 1)
    ]
    return [body, *arms]


def shoe_rack(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build three slatted shelves with pairs of shoes."""
    finish = timber(rng, style, colour)
    surface, width, depth = finish.surface, 0.85, 0.32
    parts = posts(width, depth, 0.62, surface, 0.035)
    for k in range(3):
        z = 0.12 + 0.23 * k
        for y in (-0.11, 0, 0.11):
            parts.append(box((width, 0.06, 0.018), surface, (0, y, z)))
        for x in (-0.20, 0.18):
            leather = paint(pick(rng, style.fabrics).rgb)
            for side in (-0.055, 0.055):
                at = (x + side + rng.uniform(-0.03, 0.03), 0, z + 0.01)
                parts += transform(
                    [
                        sphere(0.045, leather, (0, -0.04, 0.04), (1.0, 2.3, 0.9), sides=8),
                        sphere(0.045, leather, (0, 0.07, 0.06), (0.95, 1.4, 1.4), sides=8),
                    ],
                    offset=at,
                )
    return finished("shoe rack", parts, finish.colour, finish.word)


def umbrella_stand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a tall pot with two umbrellas; `colour` is that of the pot."""
    drawn = shade(rng, style.fabrics, colour)
    pot = [(0, 0), (0.13, 0), (0.13, 0.50), (0.14, 0.52), (0.115, 0.52), (0.11, 0.10), (0, 0.10)]
    parts = [lathe(pot, paint(drawn.rgb), sides=20)]
    for x, turn in ((-0.03, 0.3), (0.04, 2.6)):
        canopy = [(0, 0), (0.012, 0.02), (0.055, 0.55), (0.012, 0.62)]
        closed = [lathe(canopy, cloth(rng, style).surface, sides=8, crease=1)]
        hook = [(0, 0, 0.60), (0, 0, 0.82), (0.03, 0, 0.86), (0.07, 0, 0.84), (0.075, 0, 0.79)]
        closed.append(tube(hook, 0.011, BLACK))
        parts += transform(transform(closed, 0.10, axis="y"), turn, (x, 0, 0.12))
    return finished("umbrella stand", parts, drawn.name)


def laundry_basket(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a tall wicker basket with clothes on top."""
    drawn = shade(rng, (*_WICKERS, style.fabrics[0]), colour)
    wicker = Material("wicker", drawn.rgb)
    wall = [(0, 0), (0.20, 0), (0.25, 0.55), (0.26, 0.56), (0.245, 0.565), (0.23, 0.40)]
    parts = [lathe(wall, wicker, sides=20)]
    for x, y in ((-0.08, 0.02), (0.08, -0.04), (0.02, 0.1)):
        garment = Material("fabric", pick(rng, style.fabrics).rgb)
        parts.append(sphere(0.13, garment, (x, y, 0.53), (1, 1, 0.7), sides=10))
    for side in (-1, 1):
        parts.append(box((0.03, 0.12, 0.03), wicker, (side * 0.255, 0, 0.48)))
    return finished("laundry basket", parts, drawn.name)


def ironing_board(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an ironing board with an iron and a folded shirt; `colour` is that of its cover."""
    cover = cloth(rng, style, colour)
    along = np.array([-0.62, -0.62, 0.25, 0.48, 0.60, 0.64])
    half = np.array([0.14, 0.17, 0.18, 0.14, 0.07, 0.0])
    strips = []
    for k in range(1, len(along) - 1):
        middle, length = (along[k] + along[k + 1]) / 2, along[k + 1] - along[k]
        breadth = half[k] + half[k + 1]
        strips.append(box((length, breadth, 0.03), cover.surface, (middle, 0, 0.87)))
    for s in (-1, 1):
        ends = [(s * 0.40, -0.13, 0.01), (-s * 0.30, -0.10, 0.86)]
        for y in (1, -1):
            strips.append(tube([(x, y * depth, z) for x, depth, z in ends], 0.008, STEEL))
        strips.append(tube([(s * 0.40, -0.17, 0.012), (s * 0.40, 0.17, 0.012)], 0.01, STEEL))
    iron = [
        box((0.22, 0.11, 0.05), paint((0.2, 0.35, 0.7)), (0.15, 0, 0.915), bevel=0.02),
        tube([(0.06, 0, 0.94), (0.08, 0, 1.0), (0.22, 0, 1.0), (0.23, 0, 0.94)], 0.014, BLACK),
    ]
    shirt = box((0.26, 0.22, 0.05), cloth(rng, style).surface, (-0.42, 0, 0.91), bevel=0.015)
    return finished("ironing board", [*strips, *iron, shirt], cover.colour, cover.word)


def trash_can(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a bin with a pedal and a domed lid."""
    drawn = shade(rng, (Colour("grey", (0.66, 0.68, 0.71)), *style.fabrics[:2]), colour)
    surface = Material("metal", drawn.rgb)
    dome = [(0.165, 0.50), (0.15, 0.56), (0.09, 0.60), (0, 0.61)]
    parts = [
        cylinder(0.15, 0.47, surface, (0, 0, 0.02), top_radius=0.16, sides=20),
        cylinder(0.165, 0.03, BLACK, (0, 0, 0.47), sides=20),
        lathe(dome, surface, sides=20),
        cylinder(0.16, 0.02, BLACK, sides=20),
        box((0.07, 0.08, 0.02), STEEL, (0, -0.17, 0.03)),
    ]
    return finished("trash can", parts, drawn.name, "metal")
