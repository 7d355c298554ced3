"""Small objects of at most about 400 triangles: crockery, books, shoes, bags and toys."""

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
from clipnav.envs.houses.furniture.plants import bowl_of_fruit
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    lathe,
    quad,
    sphere,
    transform,
    tube,
)

_GLASS = paint((0.36, 0.56, 0.42))


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
    del colour
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
    del rng, style, colour
    return finished("fruit bowl", bowl_of_fruit(), "white", "ceramic")


def bottle(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a tall bottle of dark green glass with a label."""
    del style, colour
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
    del rng, style, colour
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
    del style, colour
    width, height = float(rng.uniform(0.34, 0.46)), float(rng.uniform(0.24, 0.34))
    parts = [
        box((width, 0.30, height), paint((0.68, 0.50, 0.32)), (0, 0, height / 2)),
        box((0.05, 0.302, height + 0.002), paint((0.80, 0.66, 0.44)), (0, 0, height / 2)),
    ]
    return finished("box", parts, "brown")
