"""Colours with plain English names, so that instructions can mention "the red sofa"."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from clipnav.storage.errors import UserError

RGB = tuple[float, float, float]
SHADES: dict[str, tuple[RGB, ...]] = {
    "red": ((0.74, 0.10, 0.10), (0.60, 0.08, 0.11), (0.82, 0.20, 0.16)),
    "orange": ((0.92, 0.45, 0.08), (0.86, 0.40, 0.12), (0.95, 0.55, 0.20)),
    "yellow": ((0.94, 0.78, 0.16), (0.88, 0.72, 0.18), (0.96, 0.86, 0.38)),
    "green": ((0.18, 0.46, 0.20), (0.34, 0.56, 0.26), (0.10, 0.36, 0.22), (0.50, 0.66, 0.34)),
    "blue": ((0.12, 0.26, 0.60), (0.22, 0.42, 0.74), (0.10, 0.18, 0.42), (0.42, 0.62, 0.86)),
    "purple": ((0.42, 0.18, 0.54), (0.52, 0.32, 0.66), (0.34, 0.14, 0.44)),
    "pink": ((0.90, 0.48, 0.62), (0.94, 0.66, 0.74), (0.84, 0.36, 0.54)),
    "brown": ((0.44, 0.27, 0.15), (0.35, 0.20, 0.12), (0.55, 0.36, 0.21), (0.64, 0.43, 0.25)),
    "black": ((0.07, 0.07, 0.08), (0.11, 0.11, 0.12)),
    "white": ((0.95, 0.95, 0.93), (0.92, 0.92, 0.92)),
    "grey": ((0.50, 0.51, 0.53), (0.38, 0.39, 0.41), (0.63, 0.64, 0.65)),
    "beige": ((0.83, 0.74, 0.58), (0.78, 0.68, 0.53), (0.88, 0.81, 0.68)),
}
COLOUR_NAMES = tuple(SHADES)
BRIGHT_NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink")


@dataclass(frozen=True)
class Colour:
    """A shade and its common name.

    Attributes:
        name: One of `COLOUR_NAMES`.
        rgb: Red, green and blue in display space, 0..1.
    """

    name: str
    rgb: RGB


def colour_name(rgb: ArrayLike) -> str:
    """Return the name of the shade that is nearest in CIELAB to a display-space colour 0..1."""
    names = [name for name, shades in SHADES.items() for _ in shades]
    shades = np.array([rgb for shades in SHADES.values() for rgb in shades])
    distance = np.linalg.norm(_cielab(shades) - _cielab(np.asarray(rgb, float)), axis=-1)
    return names[int(distance.argmin())]


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Convert sRGB values 0..1 to linear light."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _cielab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB 0..1 `(..., 3)` to CIELAB under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_linear(rgb) @ to_xyz.T / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def pick_shade(name: str, rng: np.random.Generator) -> Colour:
    """Draw one of the shades of a colour name."""
    if name not in SHADES:
        raise UserError(f"no colour named {name!r}; use one of {', '.join(COLOUR_NAMES)}")
    return Colour(str(name), SHADES[name][int(rng.integers(len(SHADES[name])))])


def mute(colour: Colour, amount: float) -> Colour:
    """Mix a colour with grey of equal brightness, by 0..1, unless its name would change."""
    rgb = np.asarray(colour.rgb)
    soft = rgb + amount * (rgb @ (0.30, 0.59, 0.11) - rgb)
    # Cloth and wood show a tint slightly darker; the name must hold for the darker shade too.
    if any(colour_name(soft * light) != colour.name for light in (1.0, 0.9)):
        return colour
    red, green, blue = (float(channel) for channel in soft)
    return Colour(colour.name, (red, green, blue))
