"""Small things: plants, fruit, lamps, crockery, books, shoes, bags and toys.

Parts with the texture "lampshade" emit light.
"""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    CHROME,
    WHITE,
    Item,
    cloth,
    finished,
    paint,
    shade,
)
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    lathe,
    quad,
    sheet,
    sphere,
    transform,
    tube,
)

_LEAF = Material("leaf")
_STALK = Material("plain", (0.20, 0.45, 0.18))
_TERRACOTTA = (0.75, 0.38, 0.25)
_SLATE = (0.30, 0.32, 0.35)
_CHALK = (0.93, 0.93, 0.91)
_PETALS = ((0.92, 0.35, 0.45), (0.96, 0.94, 0.90), (0.96, 0.80, 0.25))
_FRUIT = ((0.85, 0.18, 0.14), (0.95, 0.60, 0.10), (0.55, 0.74, 0.20))
_GLOW = Material("lampshade", (1.0, 0.95, 0.85))
_GLASS = paint((0.36, 0.56, 0.42))


def vase(rng: np.random.Generator, style: Style, blossoms: int = 6) -> list[Part]:
    """Build a vase of flowers that stands on z = 0."""
    profile = [(0, 0), (0.05, 0), (0.075, 0.06), (0.07, 0.12), (0.035, 0.19), (0.045, 0.22)]
    glaze = paint(pick(rng, style.fabrics).rgb)
    parts = [lathe([*profile, (0.03, 0.215)], glaze, sides=12, crease=1.2)]
    petals = paint(pick(rng, _PETALS))
    for _ in range(blossoms):
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.11)
        end = np.array([away * np.cos(turn), away * np.sin(turn), rng.uniform(0.30, 0.42)])
        parts.append(tube(np.array([(0, 0, 0.18), end]), 0.004, _STALK, sides=3))
        parts.append(sphere(0.034, petals, end, (1, 1, 0.7), sides=6))
    return parts


def fruit() -> list[Part]:
    """Build three fruits side by side on z = 0."""
    radius = 0.045
    spots = ((-2, 0), (0, 0.9), (2, -0.4))
    return [
        sphere(radius, paint(rgb), (x * radius, y * radius, radius), sides=8)
        for (x, y), rgb in zip(spots, _FRUIT, strict=True)
    ]


def bowl_of_fruit() -> list[Part]:
    """Build a white bowl with fruit that stands on z = 0."""
    profile = [(0, 0), (0.06, 0), (0.15, 0.08), (0.14, 0.08), (0.05, 0.015), (0, 0.015)]
    bowl = lathe(profile, paint(_CHALK), sides=16)
    return [bowl, *transform(fruit(), offset=(0, 0, 0.035))]


def plant(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a large plant in a pot, mainly green: a palm, a small tree or a snake plant."""
    height = rng.uniform(1.0, 1.6)
    pot = paint(pick(rng, (_TERRACOTTA, _CHALK, _SLATE)))
    profile = [(0, 0), (0.13, 0), (0.18, 0.30), (0.19, 0.32), (0.17, 0.32), (0.16, 0.28)]
    parts = [lathe(profile, pot, sides=18)]
    parts.append(cylinder(0.163, 0.01, Material("soil"), (0, 0, 0.27), sides=18))
    grow = pick(rng, (_palm, _small_tree, _snake_plant))
    parts += transform(grow(rng, height - 0.28, 4), offset=(0, 0, 0.28))
    return finished("plant", parts, "green")


def _palm(rng: np.random.Generator, height: float, rows: int) -> list[Part]:
    """Build arching leaves from one point."""
    leaves = []
    for _ in range(24):
        reach, rise = rng.uniform(0.35, 0.6) * height, rng.uniform(0.5, 1.05) * height
        heading = rng.uniform(0, 2 * np.pi)
        leaves.append(_blade(heading, reach, 0.11, rise, rng.uniform(0, 0.3), rows))
    return leaves


def _small_tree(rng: np.random.Generator, height: float, rows: int) -> list[Part]:
    """Build three thin trunks with broad leaves."""
    bark = Material("wood", (0.35, 0.27, 0.17))
    parts = []
    for _ in range(3):
        top = np.append(rng.uniform(-0.1, 0.1, 2), height * rng.uniform(0.75, 0.95))
        parts.append(
            tube(np.array([(0, 0, -0.02), top * 0.5 + (0.02, 0, 0.05), top]), 0.013, bark, 5)
        )
        for _ in range(12):
            reach = rng.uniform(0.20, 0.32)
            leaf = _blade(rng.uniform(0, 2 * np.pi), reach, 0.17, 0.12, 0.10, rows)
            parts += transform([leaf], offset=top * rng.uniform(0.5, 1.0) + (0, 0, 0.03))
    return parts


def _snake_plant(rng: np.random.Generator, height: float, rows: int) -> list[Part]:
    """Build stiff upright leaves."""
    leaves = []
    for _ in range(20):
        reach, rise = rng.uniform(0.05, 0.28), rng.uniform(0.6, 1.0) * height
        leaves.append(_blade(rng.uniform(0, 2 * np.pi), reach, 0.10, rise, 0.0, rows, bend=0.35))
    return leaves


def _blade(
    heading: float,
    reach: float,
    width: float,
    rise: float,
    droop: float,
    rows: int,
    bend: float = 0.6,
) -> Part:
    """Build one leaf from the origin, `reach` outwards, rising over `bend` of half a sine."""
    along = np.linspace(0, 1, rows)
    out = reach * along
    up = rise * np.sin(along * np.pi * bend) - droop * along**2
    half = width / 2 * np.sin(np.pi * np.clip(along * 0.93 + 0.05, 0, 1)) ** 0.8
    across = np.array([-1.0, 0.0, 1.0])
    fold = 0.25 * half[:, None] * np.abs(across)
    points = np.stack(np.broadcast_arrays(out[:, None], half[:, None] * across, up[:, None]), -1)
    points = points + fold[..., None] * (0, 0, 1)
    uvs = np.stack(np.broadcast_arrays((across + 1) / 2, along[:, None]), -1)
    return transform([sheet(points, _LEAF, uvs, thickness=0.002)], heading)[0]


def _shade_parts(
    low_radius: float, top_radius: float, bottom: float, top: float, surface: Material
) -> list[Part]:
    """Build an open lampshade of an outer and an inner wall."""
    outer = [(low_radius, bottom), (top_radius, top)]
    inner = [(top_radius - 0.004, top), (low_radius - 0.004, bottom)]
    return [lathe(outer, surface, sides=20), lathe(inner, surface, sides=20)]


def floor_lamp(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a standing lamp, straight or arched."""
    drawn = shade(rng, style.fabrics, colour)
    pole = style.metal
    parts = [cylinder(0.15, 0.025, pole, sides=20)]
    parts.append(tube([(0, 0, 0.02), (0, 0, 0.8), (0, 0, 1.5)], 0.013, pole))
    red, green, blue = (min(1.0, 0.05 + 1.1 * channel) for channel in drawn.rgb)
    parts += _shade_parts(0.22, 0.15, 1.36, 1.68, Material("lampshade", (red, green, blue)))
    return finished("floor lamp", parts, drawn.name)


def table_lamp(rng: np.random.Generator, style: Style) -> list[Part]:
    """Build a lamp with a glazed foot on z = 0."""
    foot = paint(pick(rng, style.fabrics).rgb)
    profile = [(0, 0), (0.07, 0), (0.08, 0.02), (0.03, 0.06), (0.06, 0.15), (0.02, 0.24), (0, 0.26)]
    return [
        lathe(profile, foot, sides=12, crease=1.2),
        *_shade_parts(0.13, 0.09, 0.22, 0.42, _GLOW),
    ]


def ceiling_light(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a ceiling light of the house's shape; pendants have a colour of the palette."""
    drawn = shade(rng, style.fabrics, colour)
    if style.lamp == "pendant":
        profile = [(0.23, -0.74), (0.06, -0.52), (0.0, -0.51)]
        inner = [(0.0, -0.515), (0.055, -0.525), (0.225, -0.74)]
        parts = [_cord(-0.52), lathe(profile, paint(drawn.rgb)), lathe(inner, _GLOW)]
        parts.append(sphere(0.06, _GLOW, (0, 0, -0.68)))
        return finished("ceiling light", parts, drawn.name, "", "ceiling")
    build = {"globe": _globe, "bowl": _bowl, "chandelier": _chandelier}[style.lamp]
    return finished("ceiling light", build(style), "white", "glass", "ceiling")


def _cord(end: float) -> Part:
    return tube([(0, 0, 0), (0, 0, end)], 0.007, paint((0.07, 0.07, 0.08)), sides=5)


def _globe(style: Style) -> list[Part]:
    return [
        cylinder(0.06, 0.03, style.metal, (0, 0, -0.03)),
        _cord(-0.36),
        sphere(0.17, _GLOW, (0, 0, -0.52), sides=18),
    ]


def _bowl(style: Style) -> list[Part]:
    profile = [(0, -0.12), (0.14, -0.10), (0.22, -0.05), (0.24, -0.02)]
    return [
        lathe(profile, _GLOW, sides=24, crease=2),
        cylinder(0.10, 0.02, style.metal, (0, 0, -0.02), sides=24),
    ]


def _chandelier(style: Style) -> list[Part]:
    parts = [_cord(-0.45), sphere(0.05, style.metal, (0, 0, -0.48))]
    for turn in np.arange(5) * 2 * np.pi / 5:
        x, y = np.cos(turn), np.sin(turn)
        arm = [
            (0.03 * x, 0.03 * y, -0.48),
            (0.15 * x, 0.15 * y, -0.55),
            (0.26 * x, 0.26 * y, -0.47),
        ]
        parts.append(tube(arm, 0.009, style.metal, sides=5))
        parts.append(sphere(0.055, _GLOW, (0.26 * x, 0.26 * y, -0.41), sides=10))
    return parts


def cup(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a mug with a handle."""
    drawn = shade(rng, (*style.fabrics[:4], *style.paints[-1:]), colour)
    body = [(0, 0), (0.036, 0), (0.042, 0.09), (0.036, 0.09), (0.03, 0.01), (0, 0.01)]
    handle = [(0.036, 0, 0.07), (0.062, 0, 0.062), (0.062, 0, 0.035), (0.036, 0, 0.022)]
    glaze = paint(drawn.rgb)
    parts = [lathe(body, glaze, sides=12), tube(handle, 0.007, glaze, sides=5)]
    return finished("cup", parts, drawn.name, "ceramic")


def plate(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white plate with a coloured rim, a knife and a fork."""
    rim = paint(pick(rng, style.fabrics[:4]).rgb)
    parts = [
        lathe([(0, 0), (0.07, 0), (0.115, 0.018), (0.07, 0.01), (0, 0.008)], WHITE, sides=18),
        lathe([(0.108, 0.0145), (0.118, 0.018), (0.106, 0.0175)], rim, sides=18),
    ]
    for side in (-1, 1):
        parts.append(box((0.016, 0.18, 0.005), CHROME, (side * 0.15, 0, 0.0025)))
    return finished("plate", parts, "white", "ceramic")


def fruit_bowl(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a white bowl with fruit."""
    return finished("fruit bowl", bowl_of_fruit(), "white", "ceramic")


def bottle(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a tall bottle of dark green glass with a label."""
    profile = [(0, 0), (0.038, 0), (0.038, 0.17), (0.013, 0.23), (0.013, 0.29), (0, 0.29)]
    label = [(0.039, 0.05), (0.039, 0.13)]
    tint = paint(pick(rng, ((0.94, 0.90, 0.78), (0.90, 0.86, 0.86))))
    parts = [lathe(profile, _GLASS, sides=12), lathe(label, tint, sides=12)]
    return finished("bottle", parts, "green", "glass")


def books(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a pile of two to four books; `colour` is that of the top book."""
    drawn = shade(rng, style.fabrics, colour)
    count = int(rng.integers(2, 5))
    parts: list[Part] = []
    z = 0.0
    for k in range(count):
        cover = paint(drawn.rgb if k == count - 1 else pick(rng, style.fabrics).rgb)
        thick = float(rng.uniform(0.022, 0.04))
        width, depth = 0.24 - 0.02 * k, 0.17 - 0.012 * k
        book = [
            box((width, depth, thick), cover, (0, 0, thick / 2)),
            box((width - 0.01, 0.004, thick - 0.01), WHITE, (0, -depth / 2, thick / 2)),
        ]
        parts += transform(book, float(rng.uniform(-0.35, 0.35)), (0, 0, z))
        z += thick
    return finished("books", parts, drawn.name)


def laptop(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an open laptop that shows a picture."""
    grey = paint((0.62, 0.63, 0.66))
    lid = [
        box((0.33, 0.008, 0.22), grey, (0, 0.004, 0.11)),
        quad((-0.155, -0.001, 0.012), (0.31, 0, 0), (0, 0, 0.195), Material("monitor"), 1, True),
    ]
    keys = quad((-0.14, -0.08, 0.0165), (0.28, 0, 0), (0, 0.13, 0), Material("keyboard"), 1, True)
    parts = [box((0.33, 0.23, 0.016), grey, (0, 0, 0.008)), keys]
    parts += transform(transform(lid, -0.3, axis="x"), offset=(0, 0.115, 0.016))
    return finished("laptop", parts, "grey", "metal")


def candle(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build two candles of different height on a tray."""
    drawn = shade(rng, style.fabrics, colour)
    wax = paint(drawn.rgb)
    parts = [lathe([(0, 0), (0.10, 0), (0.11, 0.015), (0, 0.015)], BLACK, sides=16)]
    for x, height in ((-0.04, 0.17), (0.045, 0.11)):
        stick = lathe([(0, 0), (0.026, 0), (0.026, height), (0, height)], wax, sides=10)
        parts += transform([stick], offset=(x, 0, 0.015))
    return finished("candle", parts, drawn.name)


def shoes(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a pair of shoes, not quite side by side."""
    drawn = shade(rng, (*style.fabrics, *style.leathers), colour)
    leather = paint(drawn.rgb)
    shoe = [
        sphere(0.045, leather, (0, -0.05, 0.035), (1.0, 2.3, 0.8), sides=8),
        sphere(0.045, leather, (0, 0.06, 0.055), (0.95, 1.4, 1.2), sides=8),
        box((0.08, 0.27, 0.016), BLACK, (0, -0.01, 0.008), bevel=0.006),
    ]
    parts: list[Part] = []
    for side in (-1, 1):
        at = (side * 0.065, float(rng.uniform(-0.04, 0.04)), 0.0)
        parts += transform(shoe, float(rng.uniform(-0.15, 0.15)), at)
    return finished("shoes", parts, drawn.name)


def bag(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a soft bag with two handles."""
    finish = cloth(rng, style, colour)
    parts = [box((0.42, 0.22, 0.27), finish.surface, (0, 0, 0.135), bevel=0.06)]
    for y in (-0.07, 0.07):
        loop = [(-0.10, y, 0.24), (-0.08, y, 0.36), (0.08, y, 0.36), (0.10, y, 0.24)]
        parts.append(tube(loop, 0.012, BLACK, sides=5))
    return finished("bag", parts, finish.colour, finish.word)


def ball(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a rubber toy ball."""
    drawn = shade(rng, style.fabrics[:4], colour)
    parts = [sphere(0.11, paint(drawn.rgb), (0, 0, 0.11), sides=14)]
    return finished("ball", parts, drawn.name)


def toy_blocks(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a small tower of wooden blocks and two beside it, one of another colour."""
    drawn, other = shade(rng, style.fabrics[:4], colour), pick(rng, style.fabrics[:4])
    side = 0.075
    parts = []
    for x, y, z in ((0, 0, 0), (0.01, 0, 1), (-0.005, 0.01, 2), (0.13, 0.03, 0), (-0.11, -0.06, 0)):
        surface = paint((other if x > 0.1 else drawn).rgb)
        block = box((side, side, side), surface, (0, 0, side / 2))
        parts += transform([block], float(rng.uniform(-0.5, 0.5)), (x, y, z * side))
    return finished("toy blocks", parts, drawn.name)


def cardboard_box(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a box of brown cardboard with tape across it."""
    width, height = float(rng.uniform(0.34, 0.46)), float(rng.uniform(0.24, 0.34))
    parts = [
        box((width, 0.30, height), paint((0.68, 0.50, 0.32)), (0, 0, height / 2)),
        box((0.05, 0.302, height + 0.002), paint((0.80, 0.66, 0.44)), (0, 0, height / 2)),
    ]
    return finished("box", parts, "brown")


def ornament(rng: np.random.Generator, style: Style) -> list[Part]:
    """Build two small boxes, one on the other, on z = 0."""
    first, second = (paint(style.fabrics[k].rgb) for k in rng.permutation(len(style.fabrics))[:2])
    return [
        box((0.24, 0.18, 0.09), first, (0, 0, 0.045)),
        box((0.16, 0.13, 0.07), second, (0.02, 0, 0.125)),
    ]
