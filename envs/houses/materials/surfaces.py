"""Tiling textures of the built-in houses: wood, cloth, stone, wallpaper.

Textures of tinted materials are nearly white, so that the tint determines the visible colour. Each
function returns an sRGB picture `(size, size, 3)` of floats 0..1.
"""

import numpy as np

from clipnav.envs.houses.plan.elements import WALL_HEIGHT

Image = np.ndarray


def noise(
    rng: np.random.Generator,
    size: int,
    roughness: float = 1.6,
    stretch_x: float = 1.0,
    stretch_y: float = 1.0,
) -> np.ndarray:
    """Return a seamless random field `(size, size)` of mean 0 and standard deviation 1.

    Args:
        size: Side in pixels.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    frequency_y = np.fft.fftfreq(size)[:, None] * size / stretch_y
    frequency_x = np.fft.rfftfreq(size)[None] * size / stretch_x
    radius = np.hypot(frequency_x, frequency_y)
    radius[0, 0] = np.inf
    field = np.fft.irfft2(spectrum * radius**-roughness, s=(size, size))
    return field / field.std()


def blend(low: tuple, high: tuple, amount: np.ndarray) -> Image:
    """Mix two colours by a field that is clipped to 0..1."""
    share = np.clip(amount, 0, 1)[..., None]
    return np.asarray(low) * (1 - share) + np.asarray(high) * share


def grey(field: np.ndarray) -> Image:
    """Convert a field of brightness to a grey picture."""
    return np.repeat(field[..., None], 3, axis=-1)


def wood(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint wood grain along the rows."""
    rings = noise(rng, size, 1.4, 0.5, 6.0)
    fibres = noise(rng, size, 0.6, 0.3, 20.0)
    return blend(
        (1.0, 0.98, 0.95), (0.66, 0.58, 0.50), 0.32 + 0.22 * np.sin(3 * rings) + 0.10 * fibres
    )


def planks(rng: np.random.Generator, size: int = 1024, rows: int = 16) -> Image:
    """Paint floor boards along the rows, two or three to a row, each with its own tone."""
    grain, height = wood(rng, size), size // rows
    floor = np.empty((size, size, 3))
    for row in range(rows):
        strip = np.roll(grain, rng.integers(size), axis=1)[row * height : (row + 1) * height].copy()
        joints = np.sort(rng.choice(np.arange(1, 8), 3, replace=False)) * size // 8
        for start, end in zip(joints, [*joints[1:], joints[0] + size], strict=True):
            strip[:, np.arange(start, end) % size] *= 0.84 + 0.22 * rng.random()
        strip[:, joints] *= 0.55
        strip[:2] *= 0.62
        floor[row * height : (row + 1) * height] = strip
    return floor


def parquet(rng: np.random.Generator, size: int = 512, blocks: int = 4, slats: int = 4) -> Image:
    """Paint basket-weave parquet: blocks of slats in alternating directions."""
    side = size // blocks
    width = side // slats
    floor = np.empty((size, size, 3))
    grain = wood(rng, size)
    for row in range(blocks):
        for column in range(blocks):
            block = np.roll(grain, rng.integers(size, size=2), axis=(0, 1))[:side, :side].copy()
            for slat in range(slats):
                block[slat * width : (slat + 1) * width] *= 0.84 + 0.22 * rng.random()
                block[slat * width] *= 0.6
            block[:, 0] *= 0.6
            if (row + column) % 2:
                block = block.transpose(1, 0, 2)
            floor[row * side : (row + 1) * side, column * side : (column + 1) * side] = block
    return floor


def tiles(
    rng: np.random.Generator,
    size: int = 512,
    count: int = 4,
    variety: float = 0.05,
    joint: int = 3,
) -> Image:
    """Paint square stone tiles with grout of `joint` pixels between them."""
    veins = noise(rng, size, 1.5)
    floor = grey(0.93 + 0.03 * np.sin(2 * veins))
    side = size // count
    tones = 1 + variety * rng.uniform(-1, 1, (count, count))
    floor *= np.kron(tones, np.ones((side, side)))[..., None]
    grout = np.arange(size) % side < joint
    floor[grout] = (0.66, 0.64, 0.61)
    floor[:, grout] = (0.66, 0.64, 0.61)
    return floor


def checker(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint black and white squares."""
    half = np.arange(size) // (size // 2)
    dark = (half[:, None] + half) % 2
    return blend((0.93, 0.93, 0.90), (0.14, 0.15, 0.17), dark) + 0.015 * grey(noise(rng, size, 0.8))


def carpet(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint carpet with a short pile."""
    return grey(0.90 + 0.06 * noise(rng, size, 0.25) + 0.03 * noise(rng, size, 1.5))


def fabric(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint cloth in a plain weave."""
    thread = np.sin(2 * np.pi * 32 * np.arange(size) / size)
    return grey(0.91 + 0.06 * thread[:, None] * thread + 0.035 * noise(rng, size, 0.6))


def leather(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint grained leather."""
    return grey(0.86 + 0.05 * np.abs(noise(rng, size, 0.9)) + 0.03 * noise(rng, size, 1.8))


def plaster(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint a painted wall."""
    return grey(0.955 + 0.014 * noise(rng, size, 1.0) + 0.008 * noise(rng, size, 0.2))


def stripes(rng: np.random.Generator, size: int = 256, count: int = 8) -> Image:
    """Paint wallpaper with upright stripes."""
    band = (np.arange(size) * count // size) % 2
    return grey(0.97 - 0.10 * band + 0.01 * noise(rng, size, 0.8))


def damask(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint wallpaper with a regular ornament."""
    turn = np.arange(size) / size * 2 * np.pi
    y, x = turn[:, None], turn
    wave = np.cos(2 * x) * np.cos(2 * y) + 0.6 * np.cos(4 * x + 1.5 * np.sin(2 * y)) * np.cos(2 * y)
    return grey(0.96 - 0.06 * (wave > 0.35) + 0.008 * noise(rng, size, 0.8))


def _height(size: int) -> np.ndarray:
    """Return the height above the floor in metres of the rows of a texture of a whole wall."""
    return WALL_HEIGHT * (1 - (np.arange(size) + 0.5) / size)


def panelling(rng: np.random.Generator, size: int = 512, count: int = 4) -> Image:
    """Paint a wall with panels below a dado rail; as wide as it is high."""
    wall = plaster(rng, size)
    up = _height(size)[:, None]
    along = np.arange(size) / size * count % 1
    side = WALL_HEIGHT / count  # metres from panel to panel
    inset = np.minimum(np.minimum(along, 1 - along) * side - 0.07, np.minimum(up - 0.2, 0.82 - up))
    below = up < 0.95
    shade = 0.97 - 0.20 * (np.abs(inset) < 0.008) - 0.10 * (np.abs(inset - 0.02) < 0.006)
    rail = np.abs(up - 0.95) < 0.03
    shade = np.where(rail, 1.0 - 0.25 * (np.abs(up - 0.925) < 0.006), shade)
    wall = np.where((below | rail)[..., None], grey(shade + 0 * along), 0.93 * wall)
    return wall


def two_tone(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint a wall that is darker below a thin rail; as wide as it is high."""
    up = _height(size)[:, None, None]
    wall = plaster(rng, size)
    return np.where(np.abs(up - 1.1) < 0.02, 0.99, np.where(up < 1.1, 0.80 * wall, wall))


def half_tiles(rng: np.random.Generator, size: int = 512, count: int = 16) -> Image:
    """Paint a wall that is tiled up to the shoulder; as wide as it is high."""
    up = _height(size)[:, None, None]
    edge = WALL_HEIGHT * 0.625
    tiled = np.where(np.abs(up - edge) < 0.025, 0.82, tiles(rng, size, count, 0.03, joint=1))
    return np.where(up < edge + 0.025, tiled, 0.97 * plaster(rng, size))


def brick(rng: np.random.Generator, size: int = 256, rows: int = 8) -> Image:
    """Paint red bricks in running bond, for materials without a tint."""
    wall = np.full((size, size, 3), (0.80, 0.77, 0.73))
    height, width = size // rows, size // 4
    for row in range(rows):
        for column in range(4):
            start = column * width + (width // 2 if row % 2 else 0)
            columns = np.arange(start + 2, start + width - 2) % size
            tone = np.array([0.74, 0.25, 0.18]) * (0.8 + 0.35 * rng.random())
            wall[row * height + 2 : (row + 1) * height - 2, columns] = tone
    return wall + 0.03 * grey(noise(rng, size, 0.8))


def marble(rng: np.random.Generator, size: int = 256) -> Image:
    """Paint white stone with grey veins."""
    veins = (1 - np.abs(np.sin(1.5 * noise(rng, size, 1.7)))) ** 6
    return blend((0.97, 0.97, 0.96), (0.60, 0.60, 0.62), veins + 0.04 * noise(rng, size, 0.9))


def metal(rng: np.random.Generator, size: int = 128) -> Image:
    """Paint metal that is brushed along the rows."""
    return grey(0.92 + 0.03 * noise(rng, size, 0.4, 0.2, 8.0))


def plain(rng: np.random.Generator, size: int = 16) -> Image:
    """Return a plain texture for paint, enamel and plastic."""
    return np.full((size, size, 3), 0.985)


def wicker(rng: np.random.Generator, size: int = 128, count: int = 8) -> Image:
    """Paint basketwork."""
    at = np.arange(size) / size * count
    y, x = at[:, None], at
    over = (np.floor(x) + np.floor(y)) % 2 == 0
    bulge = np.where(over, np.sin(np.pi * (y % 1)), np.sin(np.pi * (x % 1)))
    return grey(0.66 + 0.34 * bulge + 0.02 * noise(rng, size, 0.5))


def soil(rng: np.random.Generator, size: int = 64) -> Image:
    """Paint potting soil."""
    return blend((0.16, 0.10, 0.07), (0.32, 0.22, 0.15), 0.5 + 0.3 * noise(rng, size, 0.4))
