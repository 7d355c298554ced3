"""Cupboards, chests and shelves."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    Item,
    bar_handle,
    cabinetry,
    darker,
    feet,
    finished,
    knob,
    paint,
    slab,
    timber,
)
from clipnav.envs.houses.furniture.lighting_fixtures import table_lamp
from clipnav.envs.houses.furniture.plants import bowl_of_fruit, vase
from clipnav.envs.houses.furniture.showpieces import ornament
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import Material, Part, box, quad, sphere, transform


def nightstand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a small chest of two drawers with a lamp, for the side of a bed."""
    finish = cabinetry(rng, style, colour)
    parts = [box((0.46, 0.40, 0.44), finish.surface, (0, 0, 0.30), bevel=0.01)]
    for z in (0.20, 0.40):
        parts += slab((0.42, 0.02, 0.18), darker(finish.surface, 0.93), (0, -0.20, z))
        parts.append(knob(style.metal, (0, -0.24, z)))
    parts += feet(0.38, 0.32, 0.09, finish.surface)
    parts += transform(table_lamp(rng, style), offset=(0.03, 0.03, 0.52))
    return finished("nightstand", parts, finish.colour, finish.word)


def wardrobe(
    rng: np.random.Generator, style: Style, width: float | None = None, colour: str | None = None
) -> Item:
    """Build a tall cupboard for clothes with panelled doors, a cornice and a plinth.

    Of three doors the middle one is a mirror.
    """
    finish = cabinetry(rng, style, colour)
    surface, width, height = finish.surface, width or pick(rng, (1.0, 1.4, 1.8)), 2.1
    doors, tall, middle = max(2, round(width / 0.5)), height - 0.22, height / 2 - 0.02
    parts = [
        box((width, 0.56, height - 0.16), surface, (0, 0.01, height / 2)),
        box((width - 0.04, 0.52, 0.08), darker(surface, 0.6), (0, 0.01, 0.04)),
        box((width + 0.06, 0.62, 0.08), darker(surface, 0.85), (0, 0, height - 0.04)),
    ]
    for k in range(doors):
        x, broad = (k - (doors - 1) / 2) * width / doors, width / doors - 0.015
        parts += slab((broad, 0.025, tall), surface, (x, -0.27, middle))
        if doors == 3 and k == 1:
            corner, right = (x - broad / 2 + 0.06, -0.297, 0.20), (broad - 0.12, 0, 0)
            parts.append(quad(corner, right, (0, 0, tall - 0.24), Material("mirror"), 1, True))
        else:
            parts += _raised_panels(x, broad, tall, middle, surface)
        side = 1 if k % 2 == 0 else -1
        grip = (x + side * (broad / 2 - 0.035), -0.33, 1.05)
        parts.append(bar_handle(style.metal, grip, 0.22, upright=True))
    return finished("wardrobe", parts, finish.colour, finish.word)


def _raised_panels(
    x: float, broad: float, tall: float, middle: float, surface: Material
) -> list[Part]:
    """Build the lower and the upper panel of a wardrobe door."""
    panel = darker(surface, 0.86)
    return [
        box((broad - 0.17, 0.03, tall * 0.34), panel, (x, -0.288, middle - tall * 0.25)),
        box((broad - 0.17, 0.03, tall * 0.42), panel, (x, -0.288, middle + tall * 0.21)),
    ]


def dresser(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a wide chest of six drawers with flowers and boxes on it."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, rng.uniform(1.1, 1.35)
    parts = [
        box((width, 0.46, 0.72), surface, (0, 0, 0.46)),
        box((width + 0.05, 0.52, 0.04), darker(surface, 0.85), (0, 0, 0.84), bevel=0.012),
    ]
    parts += feet(width - 0.12, 0.36, 0.11, darker(surface, 0.8), 0.03)
    for row in range(3):
        for side in (-1, 1):
            x, z = side * width / 4, 0.22 + row * 0.235
            parts += slab((width / 2 - 0.04, 0.02, 0.21), darker(surface, 0.92), (x, -0.23, z))
            parts += [knob(style.metal, (x + s * width / 9, -0.27, z), 0.018) for s in (-1, 1)]
    parts += transform(vase(rng, style), offset=(-width * 0.32, 0, 0.86))
    parts += transform(ornament(rng, style), offset=(width * 0.3, 0, 0.86))
    return finished("dresser", parts, finish.colour, finish.word)


def sideboard(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a long low cupboard on legs, drawers in the middle and a door on either side."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, rng.uniform(1.4, 1.7)
    front, third = darker(surface, 0.9), width / 3
    parts = [box((width, 0.44, 0.58), surface, (0, 0, 0.48), bevel=0.008)]
    parts += feet(width - 0.2, 0.32, 0.20, timber(rng, style).surface, 0.028)
    for side in (-1, 1):
        x = side * third
        parts += slab((third - 0.03, 0.02, 0.52), front, (x, -0.22, 0.48))
        parts.append(knob(style.metal, (x - side * (third / 2 - 0.06), -0.26, 0.52)))
    for row in range(3):
        z = 0.305 + 0.175 * row
        parts.append(box((third - 0.03, 0.02, 0.16), front, (0, -0.23, z)))
        parts.append(bar_handle(style.metal, (0, -0.255, z), 0.16))
    parts += transform(vase(rng, style), offset=(width * 0.3, 0, 0.77))
    parts += transform(bowl_of_fruit(), offset=(-width * 0.25, 0, 0.77))
    return finished("sideboard", parts, finish.colour, finish.word)


def bookshelf(
    rng: np.random.Generator, style: Style, width: float | None = None, colour: str | None = None
) -> Item:
    """Build a tall open shelf full of books."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, width or rng.uniform(0.8, 1.2)
    height, depth, shelves = rng.uniform(1.75, 2.05), 0.32, 5
    back = (width, 0.015, height)
    parts = [box(back, darker(surface, 0.7), (0, depth / 2 - 0.008, height / 2))]
    for side in (-1, 1):
        wall = (side * (width / 2 - 0.018), 0, height / 2)
        parts.append(box((0.036, depth, height), surface, wall))
    parts.append(box((width - 0.07, 0.02, 0.07), surface, (0, -depth / 2 + 0.02, 0.035)))
    rise = (height - 0.12) / shelves
    for k in range(shelves + 1):
        z = 0.08 + k * rise
        parts.append(box((width - 0.05, depth - 0.01, 0.03), surface, (0, 0, z)))
        if k < shelves:
            books = _books(rng, style, width - 0.08, depth, rise - 0.03)
            parts += transform(books, offset=(0, 0, z + 0.015))
    parts.append(box((width + 0.02, depth + 0.02, 0.03), surface, (0, 0, height)))
    return finished("bookshelf", parts, finish.colour, finish.word)


def _books(
    rng: np.random.Generator, style: Style, width: float, depth: float, rise: float
) -> list[Part]:
    """Build books on one shelf, starting at its left wall, and a ball in the remaining space."""
    length, height, left = width * rng.uniform(0.6, 1.0), rise * 0.86, -width / 2
    surface = Material(f"books{rng.integers(4)}")
    spines = quad((left, 0.05 - depth / 2, 0), (length, 0, 0), (0, 0, height), surface, 1.0, True)
    # Books are equally wide on short and long shelves, and every shelf shows other books.
    spines.uvs[:, 0] = spines.uvs[:, 0] * length / 0.9 + rng.random()
    leaves = paint((0.20, 0.16, 0.13))
    block = (length, depth - 0.09, height * 0.7)
    parts = [spines, box(block, leaves, (left + length / 2, 0.02, height * 0.35), faces="XZ")]
    if width - length > 0.2:
        glaze = paint(pick(rng, style.fabrics).rgb)
        parts.append(sphere(0.06, glaze, (width / 2 - 0.09, -0.02, 0.06), sides=10))
    return parts


def tv_stand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a low cupboard with a large television."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, 1.75
    third, front = width / 3, darker(finish.surface, 0.9)
    parts = [box((width, 0.46, 0.44), surface, (0, 0, 0.30), bevel=0.008)]
    for k in (-1, 0, 1):
        parts += slab((third - 0.03, 0.02, 0.38), front, (k * third, -0.23, 0.30))
        parts.append(knob(style.metal, (k * third + 0.20, -0.27, 0.36)))
    parts += feet(width - 0.2, 0.3, 0.09, BLACK)
    parts += [
        box((1.16, 0.05, 0.68), BLACK, (0, 0.05, 0.94)),
        quad((-0.56, 0.022, 0.62), (1.12, 0, 0), (0, 0, 0.64), Material("screen"), 0.7, True),
        box((0.44, 0.22, 0.02), BLACK, (0, 0.05, 0.53)),
        box((0.08, 0.05, 0.08), BLACK, (0, 0.06, 0.57)),
    ]
    return finished("tv stand", parts, finish.colour, finish.word)
