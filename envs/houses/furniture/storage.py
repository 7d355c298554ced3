"""Cupboards, shelves and boxes."""

import numpy as np

from envs.houses.furniture.decoration import vase
from envs.houses.furniture.item import (
    BLACK,
    Item,
    bar_handle,
    cabinetry,
    darker,
    feet,
    finished,
    knob,
    paint,
    posts,
    slab,
    timber,
)
from envs.houses.furniture.lighting_fixtures import table_lamp
from envs.houses.geometry import Material, Part, box, cylinder, lathe, quad, sphere, transform
from envs.houses.style import Style, pick


def nightstand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A small chest of two drawers with a lamp, for the side of a bed."""
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
    """A tall cupboard for clothes with framed doors, a cornice and a plinth."""
    finish = cabinetry(rng, style, colour)
    surface, width, height = finish.surface, width or pick(rng, (1.0, 1.4, 1.8)), 2.1
    doors = max(2, round(width / 0.5))
    parts = [
        box((width, 0.56, height - 0.16), surface, (0, 0.01, 0.08 + (height - 0.16) / 2)),
        box((width - 0.04, 0.52, 0.08), darker(surface, 0.6), (0, 0.01, 0.04)),
        box((width + 0.06, 0.62, 0.08), darker(surface, 0.9), (0, 0, height - 0.04)),
    ]
    for k in range(doors):
        x = (k - (doors - 1) / 2) * width / doors
        door = (width / doors - 0.015, 0.025, height - 0.22)
        front = Material("mirror") if doors == 3 and k == 1 else None
        parts += slab(door, surface, (x, -0.27, 0.09 + (height - 0.22) / 2))
        parts += _door_panels(x, door, surface, front)
        inward = 1 if k % 2 == 0 else -1
        grip = (x + inward * (width / doors / 2 - 0.04), -0.33, 1.05)
        parts.append(bar_handle(style.metal, grip, 0.22, upright=True))
    return finished("wardrobe", parts, finish.colour, finish.word)


def _door_panels(
    x: float, door: tuple[float, float, float], surface: Material, mirror: Material | None
) -> list[Part]:
    """Two raised panels of a wardrobe door, or a mirror all over it."""
    width, _, height = door
    if mirror is not None:
        corner = (x - width / 2 + 0.06, -0.298, 0.16)
        edge_u, edge_v = (width - 0.12, 0, 0), (0, 0, height - 0.14)
        return [quad(corner, edge_u, edge_v, mirror, 1.0, pictorial=True)]
    panel = darker(surface, 0.88)
    lower, upper = 0.09 + height * 0.25, 0.09 + height * 0.73
    return [
        box((width - 0.16, 0.03, height * 0.36), panel, (x, -0.288, lower)),
        box((width - 0.16, 0.03, height * 0.42), panel, (x, -0.288, upper)),
    ]


def dresser(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A wide chest of six drawers, with a round mirror or a vase on its top."""
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
    parts += transform(_boxes(rng, style), offset=(width * 0.3, 0, 0.86))
    return finished("dresser", parts, finish.colour, finish.word)


def _boxes(rng: np.random.Generator, style: Style) -> list[Part]:
    """Two small boxes, one on the other."""
    first, second = (paint(pick(rng, style.fabrics).rgb) for _ in range(2))
    return [
        box((0.24, 0.18, 0.09), first, (0, 0, 0.045)),
        box((0.16, 0.13, 0.07), second, (0.02, 0, 0.125)),
    ]


def sideboard(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A long low cupboard on legs, drawers in the middle and a door on either side."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, rng.uniform(1.4, 1.7)
    parts = [box((width, 0.44, 0.58), surface, (0, 0, 0.48), bevel=0.008)]
    parts += feet(width - 0.2, 0.32, 0.20, timber(rng, style).surface, 0.028)
    front = darker(surface, 0.9)
    for side in (-1, 1):
        x = side * width / 3
        parts += slab((width / 3 - 0.03, 0.02, 0.52), front, (x, -0.22, 0.48))
        parts.append(knob(style.metal, (x - side * (width / 6 - 0.06), -0.26, 0.52)))
    for row in range(3):
        z = 0.305 + 0.175 * row
        parts.append(box((width / 3 - 0.03, 0.02, 0.16), front, (0, -0.23, z)))
        parts.append(bar_handle(style.metal, (0, -0.255, z), 0.16))
    parts += transform(vase(rng, style), offset=(width * 0.3, 0, 0.77))
    parts += transform(_bowl_of_fruit(), offset=(-width * 0.25, 0, 0.77))
    return finished("sideboard", parts, finish.colour, finish.word)


def _bowl_of_fruit() -> list[Part]:
    profile = [(0, 0), (0.06, 0), (0.15, 0.08), (0.14, 0.08), (0.05, 0.015)]
    parts = [lathe(profile, paint((0.93, 0.92, 0.88)), sides=16)]
    for x, y, rgb in (
        (-0.05, 0, (0.8, 0.15, 0.12)),
        (0.05, 0.03, (0.95, 0.6, 0.1)),
        (0.01, -0.05, (0.55, 0.72, 0.2)),
    ):
        parts.append(sphere(0.045, paint(rgb), (x, y, 0.08), sides=8))
    return parts


def bookshelf(
    rng: np.random.Generator, style: Style, width: float | None = None, colour: str | None = None
) -> Item:
    """A tall open shelf full of books."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, width or rng.uniform(0.8, 1.2)
    height, depth, shelves = rng.uniform(1.75, 2.05), 0.32, 5
    parts = [box((width, 0.015, height), darker(surface, 0.7), (0, depth / 2 - 0.008, height / 2))]
    for side in (-1, 1):
        parts.append(
            box((0.035, depth, height), surface, (side * (width / 2 - 0.018), 0, height / 2))
        )
    rise = (height - 0.12) / shelves
    for k in range(shelves + 1):
        z = 0.08 + k * rise
        parts.append(box((width - 0.05, depth - 0.01, 0.03), surface, (0, 0, z)))
        if k < shelves:
            parts += _row_of_books(rng, style, width - 0.08, depth, z + 0.015, rise - 0.03)
    parts.append(box((width, depth + 0.02, 0.03), surface, (0, 0, height)))
    return finished("bookshelf", parts, finish.colour, finish.word)


def _row_of_books(
    rng: np.random.Generator, style: Style, width: float, depth: float, z: float, rise: float
) -> list[Part]:
    """Books from the left wall of a shelf on, and an ornament where room is left."""
    length, height = width * rng.uniform(0.6, 1.0), rise * 0.86
    front = -depth / 2 + 0.05
    spines = quad(
        (-width / 2, front, z),
        (length, 0, 0),
        (0, 0, height),
        Material(f"books{rng.integers(4)}"),
        1.0,
        True,
    )
    # Spines keep their width on shelves of any length, and each shelf shows another part of the row.
    spines.uvs[:, 0] = spines.uvs[:, 0] * length / 0.9 + rng.random()
    block = box(
        (length, depth - 0.09, height * 0.7),
        paint((0.20, 0.16, 0.13)),
        (-width / 2 + length / 2, 0.02, z + height * 0.35),
        faces="XZ",
    )
    parts = [spines, block]
    if width - length > 0.2:
        at = (width / 2 - 0.09, -0.02, z)
        parts += transform(
            [sphere(0.06, paint(pick(rng, style.fabrics).rgb), (0, 0, 0.06), sides=10)], offset=at
        )
    return parts


def tv_stand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A low cupboard with a large television."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, 1.6
    parts = [box((width, 0.42, 0.36), surface, (0, 0, 0.27), bevel=0.008)]
    for k in (-1, 0, 1):
        parts += slab(
            (width / 3 - 0.03, 0.02, 0.31), darker(surface, 0.9), (k * width / 3, -0.21, 0.27)
        )
        parts.append(knob(style.metal, (k * width / 3 + 0.18, -0.25, 0.34)))
    parts += feet(width - 0.2, 0.3, 0.09, BLACK)
    parts += [
        box((1.30, 0.05, 0.76), BLACK, (0, 0.05, 0.90)),
        quad((-0.63, 0.022, 0.545), (1.26, 0, 0), (0, 0, 0.71), Material("screen"), 0.7, True),
        box((0.44, 0.22, 0.02), BLACK, (0, 0.05, 0.46)),
        box((0.08, 0.05, 0.08), BLACK, (0, 0.06, 0.50)),
    ]
    return finished("tv stand", parts, finish.colour, finish.word)


def toy_chest(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A painted box with toys that look out of it."""
    name = colour or pick(rng, style.fabrics[:4]).name
    finish = cabinetry(rng, style, name)
    surface, trim = finish.surface, paint(pick(rng, style.fabrics[:4]).rgb)
    width, depth, height = 0.85, 0.45, 0.42
    parts = [box((width, depth, 0.03), surface, (0, 0, 0.05))]
    for side in (-1, 1):
        parts.append(
            box((width, 0.025, height), surface, (0, side * (depth / 2 - 0.012), height / 2))
        )
        parts.append(
            box((0.025, depth, height), surface, (side * (width / 2 - 0.012), 0, height / 2))
        )
    parts.append(box((width - 0.1, 0.01, 0.08), trim, (0, -depth / 2 - 0.004, height * 0.6)))
    lid = box((width, 0.03, depth), surface, (0, 0, depth / 2), bevel=0.01)
    parts += transform([lid], -0.25, (0, depth / 2 - 0.01, height), axis="x")
    parts += _toys(height)
    return finished("toy chest", parts, finish.colour, finish.word)


def _toys(height: float) -> list[Part]:
    """A ball, cubes and a bear."""
    bear = paint((0.62, 0.42, 0.24))
    parts = [
        sphere(0.10, paint((0.85, 0.15, 0.12)), (-0.26, -0.02, height), sides=12),
        box((0.12, 0.12, 0.12), paint((0.15, 0.40, 0.80)), (-0.06, 0.05, height - 0.01)),
        box((0.11, 0.11, 0.11), paint((0.95, 0.80, 0.15)), (0.02, -0.10, height - 0.02)),
        sphere(0.11, bear, (0.24, 0.0, height), (1, 0.9, 1.1), sides=10),
        sphere(0.085, bear, (0.24, -0.02, height + 0.17), sides=10),
    ]
    for side in (-1, 1):
        parts.append(sphere(0.032, bear, (0.24 + side * 0.065, -0.02, height + 0.25), sides=8))
        parts.append(sphere(0.011, BLACK, (0.24 + side * 0.03, -0.10, height + 0.19), sides=6))
    parts.append(sphere(0.035, paint((0.85, 0.70, 0.50)), (0.24, -0.09, height + 0.15), sides=8))
    return parts


def laundry_basket(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A tall wicker basket with clothes on top."""
    drawn = colour or pick(rng, ("beige", "brown", "white", pick(rng, style.fabrics[:4]).name))
    tint = cabinetry(rng, style, drawn).surface.tint
    wicker = Material("wicker", tint)
    wall = [(0, 0), (0.20, 0), (0.25, 0.55), (0.26, 0.56), (0.245, 0.565), (0.23, 0.40)]
    parts = [lathe(wall, wicker, sides=20)]
    for x, y in ((-0.08, 0.02), (0.08, -0.04), (0.02, 0.1)):
        cloth = Material("fabric", pick(rng, style.fabrics).rgb)
        parts.append(sphere(0.13, cloth, (x, y, 0.53), (1, 1, 0.7), sides=10))
    for side in (-1, 1):
        parts.append(box((0.03, 0.12, 0.03), wicker, (side * 0.255, 0, 0.48)))
    return finished("laundry basket", parts, drawn, "")


def coat_rack(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A stand with coats and a hat on it; the colour is that of the larger coat."""
    coat = pick(rng, style.fabrics) if colour is None else None
    from envs.houses.furniture.item import cloth

    first = cloth(rng, style, colour if coat is None else coat.name)
    second = cloth(rng, style)
    wood = timber(rng, style).surface
    parts = [cylinder(0.025, 1.75, wood, (0, 0, 0.03), sides=10), sphere(0.04, wood, (0, 0, 1.80))]
    parts.append(cylinder(0.22, 0.04, wood, top_radius=0.12, sides=20))
    for turn in np.arange(6) * np.pi / 3:
        arm = box((0.16, 0.02, 0.02), wood, (0.08, 0, 0))
        parts += transform(transform([arm], -0.5, axis="y"), turn, (0, 0, 1.62))
    coat_profile = [(0, 0), (0.17, 0), (0.15, 0.5), (0.13, 0.80), (0.03, 0.92)]
    parts.append(lathe(coat_profile, first.surface, (-0.13, -0.04, 0.72), sides=10, crease=1.0))
    short = [(0, 0), (0.14, 0), (0.12, 0.5), (0.02, 0.66)]
    parts.append(lathe(short, second.surface, (0.15, 0.03, 0.95), sides=10, crease=1.0))
    hat = [(0, 0), (0.15, 0), (0.15, 0.015), (0.09, 0.02), (0.08, 0.12), (0, 0.13)]
    parts.append(lathe(hat, paint((0.25, 0.18, 0.12)), (0, 0, 1.78), sides=14))
    return finished("coat rack", parts, first.colour, "")


def shoe_rack(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Three slatted shelves with pairs of shoes."""
    finish = timber(rng, style, colour)
    surface, width, depth = finish.surface, 0.85, 0.32
    parts = posts(width, depth, 0.62, surface, 0.035)
    for k in range(3):
        z = 0.12 + 0.23 * k
        for slat in range(3):
            y = (slat - 1) * 0.11
            parts.append(box((width, 0.06, 0.018), surface, (0, y, z)))
        for pair in range(3):
            leather = paint(pick(rng, style.fabrics).rgb)
            x = (pair - 1) * 0.26 + rng.uniform(-0.02, 0.02)
            parts += transform(_shoe(leather), offset=(x - 0.05, 0, z + 0.01))
            parts += transform(_shoe(leather), offset=(x + 0.05, 0, z + 0.01))
    return finished("shoe rack", parts, finish.colour, finish.word)


def _shoe(leather: Material) -> list[Part]:
    return [
        box((0.085, 0.27, 0.045), leather, (0, 0, 0.03), bevel=0.02),
        box((0.08, 0.13, 0.08), leather, (0, 0.06, 0.07), bevel=0.025),
    ]
