"""Sport and music."""

import numpy as np

from envs.houses.colours import Colour
from envs.houses.furniture.item import (
    DARK_STEEL,
    Item,
    darker,
    finished,
    paint,
    shade,
)
from envs.houses.geometry import Material, Part, box, quad, sphere, transform, tube
from envs.houses.style import Style


def treadmill(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A running belt with a handrail and a display, facing +y."""
    drawn = shade(
        rng, (Colour("black", (0.10, 0.10, 0.11)), Colour("grey", (0.45, 0.46, 0.48))), colour
    )
    body, stripe = paint(drawn.rgb), paint(style.fabrics[0].rgb)
    parts = [
        box((0.78, 1.60, 0.16), body, (0, 0, 0.10), bevel=0.03),
        box((0.50, 1.50, 0.01), Material("carpet", (0.16, 0.16, 0.17)), (0, -0.03, 0.186)),
        box((0.74, 0.34, 0.14), body, (0, 0.62, 0.22), bevel=0.05),
        box((0.40, 0.02, 0.05), stripe, (0, 0.45, 0.24)),
    ]
    for side in (-1, 1):
        x = side * 0.36
        parts.append(box((0.06, 1.45, 0.012), stripe, (side * 0.32, -0.05, 0.187)))
        post = [(x, 0.62, 0.18), (x, 0.58, 0.75), (x, 0.50, 1.15)]
        rail = [(x, 0.50, 1.05), (x, 0.25, 1.0), (x, -0.05, 0.98)]
        parts += [tube(post, 0.03, body, sides=8), tube(rail, 0.022, DARK_STEEL, sides=8)]
    console = [
        box((0.80, 0.06, 0.32), body, (0, 0, 0), bevel=0.025),
        quad((-0.20, -0.034, -0.10), (0.40, 0, 0), (0, 0, 0.22), Material("monitor"), 1, True),
    ]
    parts += transform(console, -0.5, (0, 0.50, 1.22), axis="x")
    return finished("treadmill", parts, drawn.name)


def exercise_ball(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A big rubber ball."""
    drawn = shade(rng, style.fabrics[:4], colour)
    ball = sphere(0.34, paint(drawn.rgb), (0, 0, 0.33), sides=24)
    return finished("exercise ball", [ball], drawn.name)


def piano(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """An upright piano with its stool in front."""
    palette = (
        Colour("black", (0.06, 0.06, 0.07)),
        Colour("brown", (0.36, 0.20, 0.11)),
        Colour("white", (0.95, 0.95, 0.93)),
    )
    drawn = shade(rng, palette, colour)
    body = Material("plain" if drawn.name != "brown" else "wood", drawn.rgb)
    parts = [
        box((1.45, 0.32, 1.18), body, (0, 0.14, 0.59)),
        box((1.50, 0.38, 0.04), darker(body), (0, 0.12, 1.20), bevel=0.01),
        box((1.45, 0.34, 0.10), body, (0, -0.16, 0.64)),
        quad((-0.62, -0.30, 0.70), (1.24, 0, 0), (0, 0.17, 0), Material("piano_keys"), 1, True),
        box((1.45, 0.02, 0.05), body, (0, -0.32, 0.69)),
        box((1.24, 0.03, 0.05), paint((0.55, 0.10, 0.10)), (0, -0.12, 0.72)),
    ]
    for side in (-1, 1):
        parts.append(box((0.10, 0.34, 0.16), body, (side * 0.675, -0.16, 0.72)))
        parts.append(box((0.08, 0.08, 0.59), body, (side * 0.66, -0.28, 0.295)))
    stand = [
        box((0.55, 0.02, 0.30), darker(body, 1.25), (0, 0, 0)),
        quad((-0.2, -0.012, -0.13), (0.4, 0, 0), (0, 0, 0.27), paint((0.97, 0.96, 0.90))),
    ]
    parts += transform(stand, -0.25, (0, -0.06, 0.92), axis="x")
    for k in (-1, 0, 1):
        parts.append(
            box((0.03, 0.12, 0.015), Material("metal", (0.8, 0.62, 0.3)), (0.07 * k, -0.06, 0.05))
        )
    parts += _piano_stool(body)
    return finished("piano", parts, drawn.name)


def _piano_stool(body: Material) -> list[Part]:
    """A padded bench."""
    parts = [
        box(
            (0.62, 0.32, 0.07),
            Material("leather", (0.12, 0.11, 0.11)),
            (0, -0.62, 0.47),
            bevel=0.02,
        )
    ]
    for x in (-0.26, 0.26):
        for y in (-0.73, -0.51):
            parts.append(box((0.04, 0.04, 0.44), body, (x, y, 0.22)))
    return parts
