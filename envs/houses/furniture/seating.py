"""Seats: sofas, chairs, stools and benches."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    CHROME,
    Finish,
    Item,
    cabinetry,
    cloth,
    darker,
    feet,
    finished,
    posts,
    timber,
    upholstery,
)
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    sphere,
    transform,
    tube,
)


def sofa(
    rng: np.random.Generator,
    style: Style,
    seats: int = 3,
    colour: str | None = None,
) -> Item:
    """Build a couch of two or three seats with loose cushions of another colour."""
    cover = upholstery(rng, style, colour)
    parts = _couch(rng, cover, seats)
    for x in rng.permutation(np.linspace(-0.5, 0.5, 3))[: rng.integers(1, 4)]:
        pillow = cloth(rng, style).surface
        parts += _pillow(rng, pillow, x * (0.62 * seats - 0.4))
    return finished("sofa", parts, cover.colour, cover.word)


def armchair(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an armchair with one deep seat."""
    cover = upholstery(rng, style, colour)
    return finished("armchair", _couch(rng, cover, 1), cover.colour, cover.word)


def _couch(rng: np.random.Generator, cover: Finish, seats: int) -> list[Part]:
    """Build base, arms, back, and a seat and a back cushion for each seat."""
    surface, seat = cover.surface, 0.62
    arm, depth = pick(rng, ((0.12, 0.88), (0.20, 0.92), (0.26, 0.95)))
    width = seat * seats + 2 * arm
    arm_height = rng.uniform(0.52, 0.64)
    parts = [box((width - 0.06, depth - 0.10, 0.20), surface, (0, 0, 0.22), bevel=0.03)]
    back = box((width - 2 * arm + 0.02, 0.20, 0.55), surface, bevel=0.07)
    parts += transform([back], -0.12, (0, depth / 2 - 0.12, 0.56), axis="x")
    for side in (-1, 1):
        at = (side * (width - arm) / 2, -0.02, 0.10 + (arm_height - 0.10) / 2)
        size = (arm, depth - 0.06, arm_height - 0.10)
        parts.append(box(size, surface, at, bevel=min(0.09, arm * 0.48), segments=1))
    for k in range(seats):
        x = (k - (seats - 1) / 2) * seat
        size = (seat - 0.02, 0.66, 0.17)
        parts.append(box(size, surface, (x, -0.11, 0.41), bevel=0.05, cell=0.6, puff=0.03))
        rest = box((seat - 0.04, 0.17, 0.42), surface, bevel=0.06)
        parts += transform([rest], -0.20, (x, 0.22, 0.66), axis="x")
    return parts + feet(
        width - 0.16, depth - 0.16, 0.13, Material("wood", (0.30, 0.19, 0.12)), 0.03
    )


def _pillow(rng: np.random.Generator, surface: Material, x: float) -> list[Part]:
    """Build a loose cushion that leans on the back of a couch."""
    pillow = box((0.42, 0.42, 0.10), surface, bevel=0.045, cell=0.18, puff=0.05)
    leaning = transform([pillow], 1.15, axis="x")
    return transform(leaning, rng.uniform(-0.3, 0.3), (x, 0.0, 0.70))


def chair(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a chair for a table: slatted wood, upholstered, or a plastic shell."""
    build = pick(rng, (_slatted_chair, _upholstered_chair, _shell_chair))
    return build(rng, style, colour)


def _slatted_chair(rng: np.random.Generator, style: Style, colour: str | None) -> Item:
    frame = cabinetry(rng, style, colour)
    surface = frame.surface
    parts = [box((0.44, 0.43, 0.04), surface, (0, 0, 0.45), bevel=0.012)]
    for side in (-0.19, 0.19):
        parts.append(box((0.038, 0.038, 0.43), surface, (side, -0.18, 0.215)))
        leg = [
            (side, 0.21, 0),
            (side, 0.19, 0.46),
            (side * 0.95, 0.22, 0.70),
            (side * 0.9, 0.26, 0.94),
        ]
        parts.append(tube(leg, 0.02, surface))
    for z in (0.60, 0.73, 0.86):
        slat = box((0.34, 0.02, 0.08), surface)
        parts += transform([slat], -0.12, (0, 0.205 + 0.1 * (z - 0.46), z), axis="x")
    return finished("chair", parts, frame.colour, frame.word)


def _upholstered_chair(rng: np.random.Generator, style: Style, colour: str | None) -> Item:
    cover, wood = cloth(rng, style, colour), timber(rng, style).surface
    parts = [box((0.47, 0.46, 0.11), cover.surface, (0, 0, 0.44), bevel=0.04, cell=0.2, puff=0.015)]
    back = box((0.45, 0.08, 0.58), cover.surface, bevel=0.035)
    parts += transform([back], -0.14, (0, 0.22, 0.72), axis="x")
    parts += posts(0.43, 0.42, 0.39, wood, 0.04)
    return finished("chair", parts, cover.colour, cover.word)


def _shell_chair(rng: np.random.Generator, style: Style, colour: str | None) -> Item:
    cover = cloth(rng, style, colour)
    shell = Material("plain", cover.surface.tint)
    wood = Material("wood", (0.80, 0.64, 0.44))
    parts = [box((0.46, 0.44, 0.035), shell, (0, 0, 0.45), bevel=0.016, cell=0.2, puff=-0.01)]
    back = box((0.44, 0.03, 0.42), shell, bevel=0.014)
    parts += transform([back], -0.20, (0, 0.25, 0.67), axis="x")
    for x in (-1, 1):
        for y in (-1, 1):
            parts.append(tube([(x * 0.20, y * 0.20, 0), (x * 0.13, y * 0.13, 0.44)], 0.014, wood))
    return finished("chair", parts, cover.colour)


def stool(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a high round seat on four splayed legs, for a kitchen bar."""
    seat = cabinetry(rng, style, colour)
    legs = style.metal if rng.random() < 0.5 else seat.surface
    parts = [cylinder(0.19, 0.08, seat.surface, (0, 0, 0.58), top_radius=0.18, sides=24)]
    for turn in np.arange(4) * np.pi / 2 + np.pi / 4:
        x, y = np.cos(turn), np.sin(turn)
        parts.append(tube([(0.21 * x, 0.21 * y, 0), (0.12 * x, 0.12 * y, 0.58)], 0.012, legs))
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        ends = [np.pi / 2 * k + np.pi / 4 for k in (a, b)]
        bar = [(0.175 * np.cos(turn), 0.175 * np.sin(turn), 0.22) for turn in ends]
        parts.append(tube(bar, 0.008, legs, sides=4))
    return finished("stool", parts, seat.colour, seat.word)


def office_chair(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a swivel chair on five castors."""
    cover = upholstery(rng, style, colour)
    surface = cover.surface
    parts = [box((0.50, 0.48, 0.10), surface, (0, 0, 0.48), bevel=0.04, cell=0.2, puff=0.02)]
    back = box((0.46, 0.09, 0.58), surface, bevel=0.04, segments=2)
    parts += transform([back], -0.12, (0, 0.25, 0.88), axis="x")
    parts.append(cylinder(0.03, 0.34, CHROME, (0, 0, 0.11), sides=10))
    parts.append(tube([(0, 0.18, 0.45), (0, 0.27, 0.52), (0, 0.28, 0.75)], 0.022, BLACK))
    for turn in np.arange(5) * 2 * np.pi / 5:
        x, y = np.cos(turn), np.sin(turn)
        parts.append(tube([(0, 0, 0.13), (0.29 * x, 0.29 * y, 0.075)], (0.028, 0.018), BLACK))
        parts.append(sphere(0.032, BLACK, (0.29 * x, 0.29 * y, 0.032), sides=8))
    for side in (-1, 1):
        path = [(side * 0.24, 0.1, 0.47), (side * 0.29, 0.08, 0.58), (side * 0.29, 0.0, 0.68)]
        parts.append(tube(path, 0.015, BLACK))
        parts.append(box((0.07, 0.28, 0.035), BLACK, (side * 0.29, 0, 0.69), bevel=0.012))
    return finished("office chair", parts, cover.colour, cover.word)


def entrance_bench(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a long upholstered bench without a back, on wooden feet, with a throw over one end."""
    cover, wood = cloth(rng, style, colour), timber(rng, style).surface
    throw = darker(cloth(rng, style).surface, 0.95)
    parts = [
        box((1.15, 0.42, 0.24), cover.surface, (0, 0, 0.30), bevel=0.03),
        box((1.17, 0.44, 0.10), cover.surface, (0, 0, 0.44), bevel=0.04, cell=0.3, puff=0.015),
        box((0.26, 0.46, 0.16), throw, (0.34, 0, 0.43), bevel=0.03),
    ]
    parts += feet(1.0, 0.30, 0.19, wood, 0.028)
    return finished("entrance bench", parts, cover.colour, cover.word)
