"""Paintings on the walls: a motif on a ground of the dominant colour."""

from collections.abc import Callable

import numpy as np

from clipnav.envs.houses.materials.colours import RGB
from clipnav.envs.houses.materials.pictures import canvas
from clipnav.envs.houses.materials.surfaces import Image, blend, noise

Motif = Callable[[np.random.Generator, np.ndarray], Image]


def painting(rng: np.random.Generator, ground: RGB, motif: int) -> Image:
    """Paint motif number `motif`, modulo the number of motifs, on a ground of the given colour."""
    return MOTIFS[motif % len(MOTIFS)](rng, np.asarray(ground))


def _wash(rng: np.random.Generator, ground: np.ndarray, size: int) -> Image:
    """Paint the ground, slightly lighter towards the top."""
    _, y = canvas(size)
    shade = 1.06 - 0.14 * y + 0.02 * noise(rng, size, 1.2)
    return ground * shade[..., None]


def mountains(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint ridges under a sun."""
    x, y = canvas(size)
    image = _wash(rng, ground, size)
    image[np.hypot(x - rng.uniform(0.2, 0.8), y - 0.22) < 0.08] = (1.0, 0.94, 0.72)
    for k in range(3):
        ridge = 0.05 * noise(rng, size, 1.6)[0] + 0.62 + 0.13 * k
        image[y > ridge] = ground * (0.90 - 0.08 * k)
    return image


def blocks(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint a grid of black lines with fields of plain colours."""
    image = np.tile(ground, (size, size, 1))
    lines = [np.sort(rng.choice(np.arange(24, size - 24, 24), 3, replace=False)) for _ in "xy"]
    columns, rows = ([0, *line, size] for line in lines)
    colours = ((0.85, 0.10, 0.10), (0.10, 0.25, 0.70), (0.95, 0.80, 0.10), (0.96, 0.95, 0.92))
    for colour in colours:
        i, j = rng.integers(4, size=2)
        image[rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = colour
    for line in lines[0]:
        image[:, line - 3 : line + 3] = 0.05
    for line in lines[1]:
        image[line - 3 : line + 3] = 0.05
    return image


def swirl(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint flowing bands of the ground with a lighter and a darker one."""
    field = noise(rng, size, 2.0)
    image = blend(tuple(ground), tuple(ground * 0.55), 1.6 * np.sin(2 * field) - 0.5)
    return image + np.clip(1.5 * np.sin(3 * field + 2) - 0.9, 0, 1)[..., None] * (0.96 - image)


def boat(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint a sailing boat on the sea."""
    x, y = canvas(size)
    image = _wash(rng, ground, size)
    sea = np.broadcast_to(y > 0.62, (size, size))
    image[sea] = (ground * 0.62)[None] + 0.03 * noise(rng, size, 0.6, 0.3, 4)[sea][:, None]
    middle = rng.uniform(0.35, 0.65)
    sail = (x > middle) & (x - middle < (y - 0.18) * 0.55) & (y < 0.62)
    image[sail] = (0.97, 0.95, 0.90)
    hull = (np.abs(x - middle - 0.05) < 0.24 - (y - 0.62)) & (y > 0.63) & (y < 0.72)
    image[hull] = (0.42, 0.20, 0.12)
    return image


def flowers(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint flowers in a vase."""
    x, y = canvas(size)
    image = _wash(rng, ground, size)
    vase = (np.abs(x - 0.5) < 0.10 + 0.04 * np.sin(14 * y)) & (y > 0.58) & (y < 0.92)
    image[vase] = (0.93, 0.92, 0.88) if ground.sum() < 2 else (0.25, 0.30, 0.45)
    for _ in range(11):
        at_x, at_y = rng.normal((0.5, 0.38), (0.13, 0.09))
        away = np.hypot(x - at_x, y - at_y)
        image[away < rng.uniform(0.045, 0.075)] = rng.choice(((0.9, 0.3, 0.4), (0.96, 0.93, 0.9)))
        image[away < 0.02] = (0.95, 0.80, 0.20)
    return image


def tree(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint a tree on a hill."""
    x, y = canvas(size)
    image = _wash(rng, ground, size)
    image[y > 0.78 + 0.08 * (2 * x - 1) ** 2] = ground * 0.5
    image[(np.abs(x - 0.5) < 0.025) & (y > 0.45) & (y < 0.82)] = (0.22, 0.14, 0.09)
    crown = np.hypot(x - 0.5, (y - 0.38) * 1.1) < 0.19 + 0.025 * noise(rng, size, 1.2)
    image[crown] = rng.choice(((0.93, 0.92, 0.85), (0.15, 0.20, 0.14)))
    return image


def city(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint towers with lit windows against the sky."""
    x, y = canvas(size)
    image = _wash(rng, ground, size)
    for start in np.arange(0.02, 0.95, 0.12):
        top = rng.uniform(0.62, 0.86)
        tower = (x > start) & (x < start + 0.10) & (y > top)
        image[tower] = (0.11, 0.11, 0.15)
        window = ((x - start) * 30 % 1 > 0.5) & (y * 26 % 1 > 0.5) & (y > top + 0.03)
        image[tower & window & (rng.random((size, 1)) > 0.2)] = (0.95, 0.86, 0.50)
    return image


def circles(rng: np.random.Generator, ground: np.ndarray, size: int = 256) -> Image:
    """Paint light and dark discs."""
    x, y = canvas(size)
    image = _wash(rng, ground, size)
    for radius in (0.2, 0.14, 0.1, 0.07):
        at_x, at_y = rng.uniform(0.2, 0.8, 2)
        away = np.hypot(x - at_x, y - at_y)
        image[away < radius] = rng.choice(((0.95, 0.94, 0.90), (0.10, 0.10, 0.12)))
        image[away < radius * 0.6] = ground * 0.8
    return image


MOTIFS: tuple[Motif, ...] = (mountains, blocks, swirl, boat, flowers, tree, city, circles)
