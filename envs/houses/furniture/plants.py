"""Plants, flowers and fruit."""

import numpy as np

from clipnav.envs.houses.furniture.item import Item, finished, paint
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    cylinder,
    lathe,
    sheet,
    sphere,
    transform,
    tube,
)

LEAF = Material("leaf")
STALK = Material("plain", (0.20, 0.45, 0.18))
TERRACOTTA = (0.75, 0.38, 0.25)
SLATE = (0.30, 0.32, 0.35)
CHALK = (0.93, 0.93, 0.91)
PETALS = ((0.92, 0.35, 0.45), (0.96, 0.94, 0.90), (0.96, 0.80, 0.25))
FRUIT = ((0.85, 0.18, 0.14), (0.95, 0.60, 0.10), (0.55, 0.74, 0.20))


def vase(rng: np.random.Generator, style: Style, blossoms: int = 6) -> list[Part]:
    """Build a vase of flowers that stands on z = 0."""
    profile = [(0, 0), (0.05, 0), (0.075, 0.06), (0.07, 0.12), (0.035, 0.19), (0.045, 0.22)]
    glaze = paint(pick(rng, style.fabrics).rgb)
    parts = [lathe([*profile, (0.03, 0.215)], glaze, sides=12, crease=1.2)]
    petals = paint(pick(rng, PETALS))
    for _ in range(blossoms):
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.11)
        end = np.array([away * np.cos(turn), away * np.sin(turn), rng.uniform(0.30, 0.42)])
        parts.append(tube(np.array([(0, 0, 0.18), end]), 0.004, STALK, sides=3))
        parts.append(sphere(0.034, petals, end, (1, 1, 0.7), sides=6))
    return parts


def fruit() -> list[Part]:
    """Build three fruits side by side on z = 0."""
    radius = 0.045
    spots = ((-2, 0), (0, 0.9), (2, -0.4))
    return [
        sphere(radius, paint(rgb), (x * radius, y * radius, radius), sides=8)
        for (x, y), rgb in zip(spots, FRUIT, strict=True)
    ]


def bowl_of_fruit() -> list[Part]:
    """Build a white bowl with fruit that stands on z = 0."""
    profile = [(0, 0), (0.06, 0), (0.15, 0.08), (0.14, 0.08), (0.05, 0.015), (0, 0.015)]
    bowl = lathe(profile, paint(CHALK), sides=16)
    return [bowl, *transform(fruit(), offset=(0, 0, 0.035))]


def plant(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a large plant in a pot, mainly green: a palm, a small tree or a snake plant."""
    del style, colour
    height = rng.uniform(1.0, 1.6)
    pot = paint(pick(rng, (TERRACOTTA, CHALK, SLATE)))
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
    return transform([sheet(points, LEAF, uvs, thickness=0.002)], heading)[0]
