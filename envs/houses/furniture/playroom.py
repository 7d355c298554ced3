"""Things for children."""

import numpy as np

from envs.houses.furniture.item import BLACK, Item, cabinetry, finished, paint, shade, wood_surface
from envs.houses.materials.style import Style
from envs.houses.meshes.geometry import Material, Part, box, sphere, stretch, transform, tube

BEAR = paint((0.62, 0.42, 0.24))
MUZZLE = paint((0.86, 0.72, 0.52))


def toy_chest(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A painted box, its lid open, with toys that look out of it."""
    name = colour or shade(rng, style.fabrics[:4], None).name
    finish, trim = cabinetry(rng, style, name), shade(rng, style.fabrics[:4], None)
    surface, width, depth, height = finish.surface, 0.85, 0.45, 0.42
    parts = [box((width, depth, 0.03), surface, (0, 0, 0.05))]
    for side in (-1, 1):
        y, x = side * (depth / 2 - 0.012), side * (width / 2 - 0.012)
        parts.append(box((width, 0.025, height), surface, (0, y, height / 2)))
        parts.append(box((0.025, depth, height), surface, (x, 0, height / 2)))
    front = -depth / 2 - 0.004
    parts.append(box((width - 0.1, 0.01, 0.08), paint(trim.rgb), (0, front, height * 0.6)))
    lid = box((width, 0.03, depth), surface, (0, 0, depth / 2), bevel=0.01)
    parts += transform([lid], -0.25, (0, depth / 2 - 0.01, height), axis="x")
    parts += transform(_toys(), offset=(0, 0, height))
    return finished("toy chest", parts, finish.colour, finish.word)


def _toys() -> list[Part]:
    """A ball, cubes and a bear at the height of a rim at z = 0."""
    return [
        sphere(0.10, paint((0.85, 0.15, 0.12)), (-0.26, -0.02, 0), sides=12),
        box((0.12, 0.12, 0.12), paint((0.15, 0.40, 0.80)), (-0.06, 0.05, -0.01)),
        box((0.11, 0.11, 0.11), paint((0.95, 0.80, 0.15)), (0.02, -0.10, -0.02)),
        *transform(_bear_head(), offset=(0.24, -0.02, 0.17)),
        sphere(0.11, BEAR, (0.24, 0, 0), (1, 0.9, 1.1), sides=10),
    ]


def _bear_head() -> list[Part]:
    """A head, 0.17 m broad, that looks to -y."""
    parts = [sphere(0.085, BEAR, sides=10), sphere(0.035, MUZZLE, (0, -0.07, -0.02), sides=8)]
    parts.append(sphere(0.012, BLACK, (0, -0.105, -0.01), sides=6))
    for side in (-1, 1):
        parts.append(sphere(0.032, BEAR, (side * 0.065, 0, 0.08), sides=8))
        parts.append(sphere(0.011, BLACK, (side * 0.03, -0.08, 0.02), sides=6))
    return parts


def teddy_bear(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A bear as tall as a small child, sitting on the floor; brown."""
    del rng, style, colour
    parts = transform(_bear_head(), offset=(0, -0.02, 0.36))
    parts.append(sphere(0.125, BEAR, (0, 0, 0.15), (1, 0.9, 1.2), sides=12))
    parts.append(sphere(0.08, MUZZLE, (0, -0.06, 0.15), (1, 0.8, 1.2), sides=10))
    for side in (-1, 1):
        arm = [(side * 0.09, -0.01, 0.24), (side * 0.17, -0.09, 0.16)]
        leg = [(side * 0.07, -0.03, 0.06), (side * 0.12, -0.22, 0.06)]
        parts += [tube(arm, 0.045, BEAR, sides=8), tube(leg, 0.052, BEAR, sides=8)]
        parts.append(sphere(0.055, MUZZLE, (side * 0.12, -0.23, 0.07), (1, 0.5, 1.2), sides=8))
        parts.append(sphere(0.047, BEAR, (side * 0.17, -0.09, 0.16), sides=8))
    return finished("teddy bear", stretch(parts, (2, 2, 2)), "brown", "fabric")


def rocking_horse(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A wooden horse on rockers, its head at -y."""
    drawn = shade(rng, (*style.fabrics[:4], style.woods[0]), colour)
    body = wood_surface(drawn) if drawn in style.woods else paint(drawn.rgb)
    rocker, mane = Material("wood", (0.72, 0.52, 0.32)), paint((0.93, 0.88, 0.74))
    parts = [sphere(0.15, body, (0, 0, 0.50), (0.85, 1.75, 0.95), sides=14)]
    neck = [(0, -0.16, 0.55), (0, -0.28, 0.72), (0, -0.32, 0.82)]
    parts.append(tube(neck, (0.10, 0.085, 0.07), body, sides=10))
    parts.append(sphere(0.08, body, (0, -0.39, 0.83), (0.8, 1.6, 0.9), sides=12))
    crest = [(0, -0.10, 0.62), (0, -0.20, 0.78), (0, -0.26, 0.90), (0, -0.34, 0.93)]
    parts.append(tube(crest, 0.035, mane))
    parts.append(tube([(0, 0.25, 0.54), (0, 0.34, 0.50), (0, 0.38, 0.34)], 0.03, mane))
    parts.append(box((0.26, 0.22, 0.05), paint((0.60, 0.12, 0.10)), (0, 0.02, 0.63), bevel=0.02))
    sweep = np.linspace(-0.62, 0.62, 9)
    curve = [(0.9 * np.sin(a), 0.9 * (1 - np.cos(a)) + 0.02) for a in sweep]
    for side in (-1, 1):
        x = side * 0.17
        parts.append(tube([(x, y, z) for y, z in curve], 0.022, rocker))
        parts.append(sphere(0.013, BLACK, (side * 0.06, -0.40, 0.86), sides=6))
        parts.append(box((0.025, 0.03, 0.06), body, (side * 0.04, -0.33, 0.92)))
        for y in (-0.20, 0.20):
            parts.append(tube([(side * 0.09, y, 0.46), (x, y * 1.35, 0.06)], 0.035, body))
    parts.append(tube([(-0.16, -0.24, 0.74), (0.16, -0.24, 0.74)], 0.016, rocker))
    return finished("rocking horse", parts, drawn.name)
