"""Furniture for sport, music and play, and showpieces."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    BRASS,
    CHROME,
    DARK_STEEL,
    Item,
    cabinetry,
    darker,
    finished,
    paint,
    posts,
    shade,
    timber,
    wood_surface,
)
from clipnav.envs.houses.furniture.small_things import vase
from clipnav.envs.houses.materials.colours import Colour
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    frustum,
    prism,
    quad,
    sphere,
    stretch,
    transform,
    tube,
)

_GYM_TONES = (Colour("black", (0.10, 0.10, 0.11)), Colour("grey", (0.45, 0.46, 0.48)))
_PIANO_TONES = (
    Colour("black", (0.06, 0.06, 0.07)),
    Colour("brown", (0.36, 0.20, 0.11)),
    Colour("white", (0.95, 0.95, 0.93)),
)
_BEAR = paint((0.62, 0.42, 0.24))
_MUZZLE = paint((0.86, 0.72, 0.52))
LOG = Material("wood", (0.38, 0.25, 0.16))


def treadmill(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a treadmill with handrails and a display; the runner faces +y."""
    drawn = shade(rng, _GYM_TONES, colour)
    body, stripe = paint(drawn.rgb), paint(style.fabrics[0].rgb)
    belt = Material("carpet", (0.16, 0.16, 0.17))
    parts = [
        box((0.78, 1.60, 0.16), body, (0, 0, 0.10), bevel=0.03),
        box((0.50, 1.50, 0.01), belt, (0, -0.03, 0.186)),
        box((0.74, 0.34, 0.14), body, (0, 0.62, 0.22), bevel=0.05),
        box((0.40, 0.02, 0.05), stripe, (0, 0.45, 0.24)),
    ]
    for side in (-1, 1):
        x = side * 0.36
        parts.append(box((0.06, 1.45, 0.012), stripe, (side * 0.32, -0.05, 0.187)))
        post = [(x, 0.62, 0.18), (x, 0.58, 0.75), (x, 0.50, 1.15)]
        rail = [(x, 0.50, 1.05), (x, 0.25, 1.0), (x, -0.05, 0.98)]
        parts += [tube(post, 0.03, body, sides=8), tube(rail, 0.022, DARK_STEEL, sides=8)]
    display = Material("monitor")
    console = [
        box((0.80, 0.06, 0.32), body, bevel=0.025),
        quad((-0.20, -0.034, -0.10), (0.40, 0, 0), (0, 0, 0.22), display, 1, True),
    ]
    parts += transform(console, -0.5, (0, 0.50, 1.22), axis="x")
    return finished("treadmill", parts, drawn.name)


def exercise_ball(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a big rubber ball."""
    drawn = shade(rng, style.fabrics[:4], colour)
    ball = sphere(0.34, paint(drawn.rgb), (0, 0, 0.33), sides=24)
    return finished("exercise ball", [ball], drawn.name)


def dumbbell_rack(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build two rows of dumbbells on a frame; `colour` is that of the frame."""
    drawn = shade(rng, (*style.fabrics[:3], _GYM_TONES[0]), colour)
    frame, width = paint(drawn.rgb), 1.2
    parts = []
    for side in (-1, 1):
        x = side * (width / 2 - 0.03)
        parts.append(box((0.06, 0.50, 0.05), frame, (x, 0, 0.025)))
        parts.append(box((0.08, 0.10, 0.85), frame, (x, 0.12, 0.45)))
    for y, z in ((-0.08, 0.40), (0.08, 0.80)):
        parts.append(box((width, 0.30, 0.03), frame, (0, y, z)))
        parts.append(box((width, 0.02, 0.14), frame, (0, y - 0.15, z - 0.06)))
        for k in range(6):
            radius, x = 0.055 + 0.006 * k, (k - 2.5) * 0.185
            pair = [cylinder(radius, 0.08, BLACK, (0, 0, s), sides=6) for s in (-0.15, 0.07)]
            pair.append(cylinder(0.016, 0.16, CHROME, (0, 0, -0.08), sides=6))
            parts += transform(pair, np.pi / 2, (x, y, z + 0.015 + radius), axis="x")
    return finished("dumbbell rack", parts, drawn.name)


def piano(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an upright piano with music on it and a bench in front."""
    drawn = shade(rng, _PIANO_TONES, colour)
    body = Material("wood" if drawn.name == "brown" else "plain", drawn.rgb)
    keys = Material("piano_keys")
    parts = [
        box((1.45, 0.32, 1.18), body, (0, 0.14, 0.59)),
        box((1.50, 0.38, 0.04), darker(body), (0, 0.12, 1.20), bevel=0.01),
        box((1.45, 0.34, 0.10), body, (0, -0.16, 0.64)),
        quad((-0.62, -0.30, 0.70), (1.24, 0, 0), (0, 0.17, 0), keys, 1, True),
        box((1.45, 0.02, 0.05), body, (0, -0.32, 0.69)),
        box((1.24, 0.03, 0.05), paint((0.55, 0.10, 0.10)), (0, -0.12, 0.72)),
    ]
    for side in (-1, 1):
        parts.append(box((0.10, 0.34, 0.16), body, (side * 0.675, -0.16, 0.72)))
        parts.append(box((0.08, 0.08, 0.59), body, (side * 0.66, -0.28, 0.295)))
    sheet_music = paint((0.97, 0.96, 0.90))
    stand = [
        box((0.55, 0.02, 0.30), darker(body, 1.25)),
        quad((-0.20, -0.012, -0.13), (0.4, 0, 0), (0, 0, 0.27), sheet_music),
    ]
    parts += transform(stand, -0.25, (0, -0.06, 0.92), axis="x")
    for k in (-1, 0, 1):
        parts.append(box((0.03, 0.12, 0.015), BRASS, (0.07 * k, -0.06, 0.05)))
    cushion = Material("leather", (0.12, 0.11, 0.11))
    parts += transform(
        [
            *posts(0.58, 0.28, 0.44, body, 0.04),
            box((0.62, 0.32, 0.07), cushion, (0, 0, 0.47), bevel=0.02),
        ],
        offset=(0, -0.62, 0),
    )
    return finished("piano", parts, drawn.name)


def guitar(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an acoustic guitar on a stand."""
    tones = (Colour("orange", (0.86, 0.50, 0.18)), Colour("brown", (0.45, 0.25, 0.13)))
    drawn = shade(rng, (*tones, style.fabrics[0]), colour)
    wood, dark = paint(drawn.rgb), Material("wood", (0.30, 0.19, 0.12))
    turn = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    parts = [
        prism(circle * 0.20 + (0, 0.20), 0.10, wood),
        prism(circle * 0.15 + (0, 0.44), 0.10, wood),
        prism(circle * 0.055 + (0, 0.40), 0.004, BLACK, base=0.10),
        box((0.05, 0.62, 0.03), dark, (0, 0.84, 0.105)),
        box((0.09, 0.16, 0.02), dark, (0, 1.20, 0.10)),
        box((0.16, 0.03, 0.015), dark, (0, 0.16, 0.108)),
        box((0.03, 0.92, 0.004), CHROME, (0, 0.64, 0.122)),
    ]
    upright = transform(parts, np.pi / 2 - 0.15, (0, -0.02, 0.16), axis="x")
    legs = [(0.20, -0.16, 0.02), (-0.20, -0.16, 0.02), (0.0, 0.26, 0.02)]
    upright += [tube([(0, 0.04, 0.30), foot], 0.013, BLACK) for foot in legs]
    upright += [
        tube([(s * 0.1, 0.03, 0.16), (s * 0.1, -0.16, 0.16)], 0.012, BLACK) for s in (-1, 1)
    ]
    return finished("guitar", upright, drawn.name)


def toy_chest(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a painted box with an open lid and visible toys."""
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
    parts += transform(
        [
            sphere(0.10, paint((0.85, 0.15, 0.12)), (-0.26, -0.02, 0), sides=12),
            box((0.12, 0.12, 0.12), paint((0.15, 0.40, 0.80)), (-0.06, 0.05, -0.01)),
            box((0.11, 0.11, 0.11), paint((0.95, 0.80, 0.15)), (0.02, -0.10, -0.02)),
            *transform(_bear_head(), offset=(0.24, -0.02, 0.17)),
            sphere(0.11, _BEAR, (0.24, 0, 0), (1, 0.9, 1.1), sides=10),
        ],
        offset=(0, 0, height),
    )
    return finished("toy chest", parts, finish.colour, finish.word)


def _bear_head() -> list[Part]:
    """Build a bear's head, 0.17 m wide, that faces -y."""
    parts = [sphere(0.085, _BEAR, sides=10), sphere(0.035, _MUZZLE, (0, -0.07, -0.02), sides=8)]
    parts.append(sphere(0.012, BLACK, (0, -0.105, -0.01), sides=6))
    for side in (-1, 1):
        parts.append(sphere(0.032, _BEAR, (side * 0.065, 0, 0.08), sides=8))
        parts.append(sphere(0.011, BLACK, (side * 0.03, -0.08, 0.02), sides=6))
    return parts


def teddy_bear(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a brown sitting bear of the size of a small child."""
    parts = transform(_bear_head(), offset=(0, -0.02, 0.36))
    parts.append(sphere(0.125, _BEAR, (0, 0, 0.15), (1, 0.9, 1.2), sides=12))
    parts.append(sphere(0.08, _MUZZLE, (0, -0.06, 0.15), (1, 0.8, 1.2), sides=10))
    for side in (-1, 1):
        arm = [(side * 0.09, -0.01, 0.24), (side * 0.17, -0.09, 0.16)]
        leg = [(side * 0.07, -0.03, 0.06), (side * 0.12, -0.22, 0.06)]
        parts += [tube(arm, 0.045, _BEAR, sides=8), tube(leg, 0.052, _BEAR, sides=8)]
        parts.append(sphere(0.055, _MUZZLE, (side * 0.12, -0.23, 0.07), (1, 0.5, 1.2), sides=8))
        parts.append(sphere(0.047, _BEAR, (side * 0.17, -0.09, 0.16), sides=8))
    return finished("teddy bear", stretch(parts, (2, 2, 2)), "brown", "fabric")


def rocking_horse(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a wooden horse on rockers, its head at -y."""
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


def aquarium(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an aquarium with fish on a cupboard, mainly blue."""
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
