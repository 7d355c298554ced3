"""Furniture of hallways and utility rooms: coats, shoes, umbrellas, laundry, waste."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    STEEL,
    Item,
    cloth,
    finished,
    paint,
    posts,
    shade,
    timber,
)
from clipnav.envs.houses.materials.colours import Colour
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    lathe,
    sphere,
    transform,
    tube,
)

WICKERS = (
    Colour("beige", (0.85, 0.74, 0.56)),
    Colour("brown", (0.50, 0.33, 0.19)),
    Colour("white", (0.95, 0.94, 0.92)),
)


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
                parts += transform(_shoe(leather), offset=at)
    return finished("shoe rack", parts, finish.colour, finish.word)


def _shoe(leather: Material) -> list[Part]:
    """Build one shoe that points to -y."""
    return [
        sphere(0.045, leather, (0, -0.04, 0.04), (1.0, 2.3, 0.9), sides=8),
        sphere(0.045, leather, (0, 0.07, 0.06), (0.95, 1.4, 1.4), sides=8),
    ]


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
    drawn = shade(rng, (*WICKERS, style.fabrics[0]), colour)
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
