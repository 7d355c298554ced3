"""Pictorial textures of the built-in houses: rugs, books, screens, clock, fire, the garden outside.

Each function returns an sRGB picture `(H, W, 3)` of floats 0..1 with row 0 at the top.
"""

from collections.abc import Callable

import numpy as np

from clipnav.envs.houses.materials.colours import RGB
from clipnav.envs.houses.materials.surfaces import Image, blend, grey, noise

Motif = Callable[[np.random.Generator, np.ndarray], Image]


def canvas(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates 0..1 of pixel centres: x to the right `(1, size)`, y down `(size, 1)`."""
    middles = (np.arange(size) + 0.5) / size
    return middles[None], middles[:, None]


def rug(rng: np.random.Generator, ground: RGB, pattern: int, size: int = 256) -> Image:
    """Paint a rug with the dominant colour `ground`; the patterns 0..3 differ clearly."""
    x, y = canvas(size)
    from_x, from_y = np.abs(2 * x - 1), np.abs(2 * y - 1)
    edge = np.maximum(from_x, from_y)
    light = sum(ground) < 2.1
    accent = np.array([0.93, 0.90, 0.82]) if light else np.array([0.30, 0.28, 0.30])
    figures = (
        (np.abs(edge - 0.80) < 0.04) | (np.abs(from_x + from_y - 0.45) < 0.05),
        (y * 9 % 1 < 0.22) & (edge < 0.92),
        (np.hypot(from_x, from_y) % 0.34 < 0.10) & (edge < 0.90),
        ((from_x * 4 % 1) + (from_y * 4 % 1) < 0.5) & (edge < 0.88),
    )
    figure = np.broadcast_to(figures[pattern % len(figures)], (size, size))
    image = np.where(figure[..., None], accent, np.asarray(ground))
    border = np.broadcast_to(edge > 0.93, (size, size))
    image[border] = np.asarray(ground) * 0.6
    return image * (0.97 + 0.04 * noise(rng, size, 0.2)[..., None])


def books(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint a shelf full of spines of muted colours, 0.9 m wide."""
    image = np.full((size, size, 3), 0.09)
    start = 0
    while start < size:
        end = start + int(rng.integers(7, 18))
        top = int(size * (0.02 + 0.28 * rng.random()))
        brightness = 0.10 + 0.60 * rng.random() ** 1.3
        colour = np.clip(brightness + 0.16 * (rng.random(3) - (0.35, 0.5, 0.6)), 0.04, 1)
        image[top:, start:end] = colour
        image[top:, start : start + 1] = colour * 0.5
        band = top + size // 8
        image[band : band + 6, start + 1 : end - 1] = np.clip(colour * 1.7 + 0.15, 0, 1)
        start = end
    return image


def screen(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint a dark television with the shine of a window on it."""
    x, y = canvas(size)
    shine = np.clip(1.1 - (x + y), 0, 1) + 0.10 * (np.abs(x - y - 0.25) < 0.10)
    return blend((0.025, 0.025, 0.03), (0.20, 0.22, 0.26), shine)


def monitor(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint a computer screen with a window full of text on a blue ground."""
    x, y = canvas(size)
    image = blend((0.16, 0.36, 0.66), (0.36, 0.60, 0.84), y + 0 * x)
    window = (x > 0.12) & (x < 0.70) & (y > 0.12) & (y < 0.82)
    image[window] = (0.96, 0.96, 0.97)
    image[window & (y < 0.19)] = (0.75, 0.78, 0.82)
    for row in np.arange(0.26, 0.78, 0.07):
        length = rng.uniform(0.2, 0.52)
        image[(np.abs(y - row) < 0.012) & (x > 0.15) & (x < 0.15 + length)] = (0.35, 0.38, 0.42)
    image[np.broadcast_to(y > 0.93, (size, size))] = (0.12, 0.15, 0.20)
    return image


def keyboard(rng: np.random.Generator, size: int = 64) -> Image:
    """Paint grey keys on black."""
    x, y = canvas(size)
    key = (x * 12 % 1 > 0.2) & (y * 5 % 1 > 0.2)
    return grey(np.where(key, 0.34, 0.10) + 0.01 * noise(rng, size))


def piano_keys(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint four octaves of white and black keys, seen from the player."""
    x, y = canvas(size)
    white = x * 28
    image = grey(np.where(np.abs(white % 1 - 0.5) > 0.44, 0.35, 0.96) + 0 * y)
    octave = (white + 0.5) % 7
    sharp = (np.abs(octave % 1 - 0.5) < 0.28) & ~np.isin(np.floor(octave), (0, 3)) & (y < 0.62)
    image[sharp] = 0.04
    return image


def clock(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint a white dial with twelve marks and two hands on gold."""
    x, y = canvas(size)
    right, down = 2 * x - 1, 2 * y - 1
    radius, angle = np.hypot(right, down), np.arctan2(right, -down)
    image = np.full((size, size, 3), (0.74, 0.58, 0.28))
    image[radius < 0.93] = (0.97, 0.96, 0.91)
    tick = np.abs((angle / (2 * np.pi) * 12 + 0.5) % 1 - 0.5) < 0.09
    image[tick & (radius > 0.70) & (radius < 0.86)] = 0.06
    for length, width, turn in (
        (0.45, 0.06, rng.uniform(0, 6.28)),
        (0.66, 0.04, rng.uniform(0, 6.28)),
    ):
        along = right * np.sin(turn) - down * np.cos(turn)
        across = right * np.cos(turn) + down * np.sin(turn)
        image[(along > -0.08) & (along < length) & (np.abs(across) < width)] = 0.05
    return image


def mirror(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint the reflection in a mirror: a blurred room, a bright window and streaks of light."""
    x, y = canvas(size)
    wall = blend((0.80, 0.86, 0.90), (0.62, 0.69, 0.75), y + 0.03 * noise(rng, size, 2.0))
    image = np.where((y > 0.74)[..., None], (0.48, 0.46, 0.46), wall)
    window = np.clip(1.6 - 9 * np.maximum(np.abs(x - 0.68), np.abs(y - 0.36) * 0.8), 0, 1)
    image = image + window[..., None] * (np.array([0.97, 0.99, 1.0]) - image)
    streak = (np.abs(x + y - 0.62) < 0.06) | (np.abs(x + y - 0.80) < 0.025)
    return image + 0.28 * streak[..., None] * (1 - image)


def fire(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint flames over logs. This texture emits light."""
    x, y = canvas(size)
    flicker = noise(rng, size, 1.5, 1.0, 0.5)
    heat = 1.5 * y - 1.6 * np.abs(x - 0.5) + 0.22 * flicker - 0.1
    image = blend((0.10, 0.03, 0.02), (0.95, 0.32, 0.05), heat * 1.8)
    image = image + np.clip(heat * 2.2 - 1.1, 0, 1)[..., None] * (
        np.array([1.0, 0.88, 0.35]) - image
    )
    image[np.broadcast_to(y > 0.90, (size, size))] *= 0.25
    return image


def aquarium(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint blue water with weeds, sand and orange fish."""
    x, y = canvas(size)
    image = blend((0.30, 0.62, 0.92), (0.06, 0.28, 0.66), y + 0.03 * noise(rng, size))
    for root in rng.uniform(0.05, 0.95, 7):
        top = rng.uniform(0.35, 0.65)
        stem = np.abs(x - root - 0.02 * np.sin(30 * y)) < 0.018
        image[stem & (y > top)] = (0.12, 0.50, 0.22)
    for _ in range(6):
        cx, cy, way = rng.uniform(0.1, 0.9), rng.uniform(0.15, 0.75), rng.choice((-1, 1))
        body = ((x - cx) / 0.055) ** 2 + ((y - cy) / 0.032) ** 2 < 1
        tail = (
            (way * (x - cx) > 0.045)
            & (way * (x - cx) < 0.085)
            & (np.abs(y - cy) < way * (x - cx) - 0.04)
        )
        image[body | tail] = (0.96, 0.50, 0.12)
    image[np.broadcast_to(y > 0.88, (size, size))] = (0.82, 0.72, 0.52)
    return image


def globe(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint green land in a blue sea."""
    height = noise(rng, size, 1.3)
    land = height > np.quantile(height, 0.78)
    return blend((0.16, 0.40, 0.72), (0.40, 0.58, 0.28), land.astype(float))


def leaf(rng: np.random.Generator, size: int = 64) -> Image:
    """Paint one green leaf with its veins, the stalk at the top."""
    x, y = canvas(size)
    from_rib = np.abs(2 * x - 1)
    veins = 0.5 + 0.25 * np.sin((y * 9 - from_rib * 4) * 2 * np.pi) + 0.06 * noise(rng, size)
    image = blend((0.13, 0.40, 0.11), (0.30, 0.58, 0.20), veins)
    image[np.broadcast_to(from_rib < 0.06, (size, size))] = (0.46, 0.66, 0.30)
    return image


def outside(rng: np.random.Generator, height: int = 256) -> Image:
    """Paint a 4:1 panorama of sky, woods and lawn; the horizon is at 0.58 of the height."""
    up = 1 - canvas(height)[1]
    width = 4 * height
    sky = blend((0.90, 0.94, 0.98), (0.45, 0.67, 0.95), (up - 0.35) * 1.4 + np.zeros((1, width)))
    clouds = np.tile(np.clip(noise(rng, height, 1.7, 0.5, 1.4), 0, 1), 4) * (up > 0.45)
    image = sky + 0.5 * clouds[..., None] * (1 - sky)
    ridge = noise(rng, width, 1.1)[0]
    ground = np.broadcast_to(up < 0.36, (height, width)).copy()
    lawn = ground.copy()
    for k, (base, rise) in enumerate(((0.47, 0.05), (0.43, 0.04), (0.40, 0.03))):
        wood = up < base + rise * np.roll(ridge, 171 * k)
        image[wood] = np.array([0.27, 0.42, 0.22]) * (1 - 0.16 * k)
        ground |= wood
    image[lawn] = (0.44, 0.60, 0.28)
    grain = np.tile(noise(rng, height, 0.5), 4)
    return image * (1 + 0.07 * (grain * ground)[..., None])


PICTURES: dict[str, Callable[[np.random.Generator], Image]] = {
    "screen": screen,
    "monitor": monitor,
    "keyboard": keyboard,
    "piano_keys": piano_keys,
    "clock": clock,
    "mirror": mirror,
    "fire": fire,
    "aquarium": aquarium,
    "globe": globe,
    "leaf": leaf,
    "outside": outside,
}


def painting(rng: np.random.Generator, ground: RGB, motif: int) -> Image:
    """Paint motif number `motif`, modulo the number of motifs, on a ground of the given colour."""
    return _MOTIFS[motif % len(_MOTIFS)](rng, np.asarray(ground))


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


_MOTIFS: tuple[Motif, ...] = (mountains, blocks, swirl, boat, flowers, tree, city, circles)
