"""Distinctive furniture: aquarium, fireplace, grandfather clock, statue and globe."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    BRASS,
    Item,
    darker,
    finished,
    paint,
    shade,
    timber,
)
from clipnav.envs.houses.furniture.plants import vase
from clipnav.envs.houses.materials.colours import Colour
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    frustum,
    quad,
    sphere,
    transform,
    tube,
)

LOG = Material("wood", (0.38, 0.25, 0.16))


def aquarium(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an aquarium with fish on a cupboard, mainly blue."""
    del colour
    cupboard = timber(rng, style).surface
    width, depth = 1.2, 0.42
    parts = [
        box((width, depth, 0.38), cupboard, (0, 0, 0.19)),
        box((width, depth, 0.03), BLACK, (0, 0, 0.395)),
        box((width, depth, 0.06), BLACK, (0, 0, 1.16)),
    ]
    for side in (-1, 1):
        door = (width / 2 - 0.03, 0.02, 0.31)
        parts.append(box(door, darker(cupboard, 0.9), (side * width / 4, -depth / 2, 0.20)))
    x, y, rise = width / 2 - 0.02, depth / 2 - 0.02, (0, 0, 0.72)
    corners = np.array([(-x, -y, 0.41), (x, -y, 0.41), (x, y, 0.41), (-x, y, 0.41)])
    for corner, following in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        water = Material("aquarium")
        parts.append(quad(corner, following - corner, rise, water, 0.6, pictorial=True))
    return finished("aquarium", parts, "blue", "glass")


def fireplace(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a mantelpiece around a burning fire, of red brick or painted."""
    if colour == "red" or (colour is None and rng.random() < 0.5):
        surface, name = Material("brick"), "red"
    else:
        drawn = shade(rng, (style.paints[-1],), colour)
        surface, name = Material("plaster", drawn.rgb), drawn.name
    wood = timber(rng, style).surface
    width, height, depth, pillar = 1.5, 1.15, 0.42, 0.36
    inside = width - 2 * pillar
    parts = [
        box((inside, depth, 0.40), surface, (0, 0, height - 0.20)),
        box((width + 0.2, depth + 0.1, 0.07), wood, (0, -0.03, height + 0.035), bevel=0.012),
        box(
            (width + 0.1, depth + 0.25, 0.05),
            Material("marble", (0.4, 0.4, 0.42)),
            (0, -0.12, 0.025),
        ),
        box((inside, 0.02, height - 0.40), BLACK, (0, depth / 2 - 0.01, (height - 0.4) / 2)),
        quad((-inside / 2, 0.06, 0.05), (inside, 0, 0), (0, 0, 0.64), Material("fire"), 0.4, True),
    ]
    for side in (-1, 1):
        at = (side * (width - pillar) / 2, 0, height / 2)
        parts.append(box((pillar, depth, height), surface, at))
    parts += [
        tube([(-0.28, -0.02, 0.10), (0.28, 0.0, 0.11)], 0.05, LOG),
        tube([(-0.28, -0.11, 0.10), (0.26, -0.10, 0.10)], 0.05, LOG),
        tube([(-0.22, -0.08, 0.18), (0.24, -0.03, 0.17)], 0.045, LOG),
    ]
    parts += transform(vase(rng, style), offset=(-0.55, 0, height + 0.07))
    return finished("fireplace", parts, name)


def grandfather_clock(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a tall clock with a dial, and a pendulum behind glass."""
    finish = timber(rng, style, colour)
    wood, dark = finish.surface, darker(finish.surface, 0.75)
    parts = [
        box((0.52, 0.34, 0.40), wood, (0, 0, 0.20), bevel=0.012),
        box((0.38, 0.28, 1.00), wood, (0, 0, 0.90)),
        box((0.50, 0.34, 0.48), wood, (0, 0, 1.64), bevel=0.012),
        box((0.56, 0.38, 0.06), dark, (0, 0, 1.90)),
        box((0.56, 0.38, 0.06), dark, (0, 0, 0.41)),
        frustum((0.50, 0.34), (0.14, 0.10), 0.16, dark, (0, 0, 1.93)),
        sphere(0.04, BRASS, (0, 0, 2.12), sides=8),
        box((0.26, 0.01, 0.80), BLACK, (0, -0.142, 0.92)),
        quad((-0.19, -0.176, 1.45), (0.38, 0, 0), (0, 0, 0.38), Material("clock"), 1, True),
        box((0.015, 0.012, 0.55), BRASS, (0.02, -0.152, 1.0)),
        sphere(0.075, BRASS, (0.02, -0.155, 0.70), (1, 0.2, 1), sides=14),
    ]
    return finished("grandfather clock", parts, finish.colour, finish.word)


def statue(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a bust on a column."""
    drawn = shade(
        rng, (Colour("white", (0.94, 0.93, 0.90)), Colour("black", (0.12, 0.12, 0.13))), colour
    )
    stone = Material("marble", drawn.rgb)
    parts = [
        box((0.40, 0.40, 0.08), stone, (0, 0, 0.04)),
        cylinder(0.15, 0.78, stone, (0, 0, 0.08), top_radius=0.13, sides=18),
        box((0.36, 0.36, 0.06), stone, (0, 0, 0.89)),
        cylinder(0.09, 0.06, stone, (0, 0, 0.92), top_radius=0.06),
        sphere(0.19, stone, (0, 0, 1.08), (1.15, 0.65, 0.75), sides=14),
        cylinder(0.06, 0.14, stone, (0, 0, 1.16), sides=12),
        sphere(0.115, stone, (0, -0.01, 1.38), (0.85, 1.0, 1.2), sides=14),
        sphere(0.022, stone, (0, -0.125, 1.37), (0.8, 1, 1.4), sides=8),
        sphere(0.118, stone, (0, 0.015, 1.405), (0.9, 1.0, 1.1), sides=12),
    ]
    return finished("statue", parts, drawn.name)


def globe(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a globe of the Earth in a wooden stand, mainly blue."""
    del colour
    wood = timber(rng, style).surface
    ball = sphere(0.27, Material("globe"), sides=20)
    # A pictorial texture covers the ball once.
    ball.uvs[:] = ball.uvs / (2 * np.pi * 0.27)
    parts = transform([ball], 0.4, (0, 0, 0.84), axis="y")
    turn = np.linspace(0, 2 * np.pi, 25)
    ring = np.stack([0.30 * np.cos(turn), 0.30 * np.sin(turn), np.full_like(turn, 0.80)], 1)
    parts.append(tube(ring, 0.016, wood, sides=6))
    parts.append(cylinder(0.025, 0.53, wood, (0, 0, 0.04), sides=10))
    for k in range(3):
        x, y = np.cos(k * 2 * np.pi / 3), np.sin(k * 2 * np.pi / 3)
        parts.append(tube([(0.30 * x, 0.30 * y, 0.80), (0.04 * x, 0.04 * y, 0.42)], 0.012, wood))
        parts.append(tube([(0, 0, 0.12), (0.26 * x, 0.26 * y, 0.02)], 0.022, wood))
    return finished("globe", parts, "blue")


def ornament(rng: np.random.Generator, style: Style) -> list[Part]:
    """Build two small boxes, one on the other, on z = 0."""
    first, second = (paint(style.fabrics[k].rgb) for k in rng.permutation(len(style.fabrics))[:2])
    return [
        box((0.24, 0.18, 0.09), first, (0, 0, 0.045)),
        box((0.16, 0.13, 0.07), second, (0.02, 0, 0.125)),
    ]
