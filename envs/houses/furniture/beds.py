"""Beds."""

from collections.abc import Sequence

import numpy as np

from clipnav.envs.houses.furniture.item import LINEN, Finish, Item, cabinetry, cloth, feet, finished
from clipnav.envs.houses.materials.style import Style
from clipnav.envs.houses.meshes.geometry import Material, Part, box, transform


def bed(
    rng: np.random.Generator,
    style: Style,
    double: bool = True,
    colour: str | None = None,
) -> Item:
    """Build a bed with its head at the wall; `colour` is that of the duvet, the dominant colour."""
    width = rng.uniform(1.5, 1.75) if double else 0.95
    duvet, frame = cloth(rng, style, colour), _frame(rng, style)
    length, head = 2.05, rng.uniform(0.95, 1.2)
    soft = frame.word == "fabric"
    headboard = box(
        (width, 0.09 if soft else 0.06, head - 0.05),
        frame.surface,
        (0, length / 2 - 0.04, (head + 0.05) / 2),
        bevel=0.04 if soft else 0.015,
    )
    parts = [
        headboard,
        box((width, length - 0.1, 0.20), frame.surface, (0, -0.04, 0.23), bevel=0.02),
    ]
    parts += feet(width - 0.14, length - 0.2, 0.14, frame.surface, 0.035)
    parts.append(
        box((width - 0.05, length - 0.14, 0.22), LINEN, (0, -0.04, 0.43), bevel=0.07, cell=0.7)
    )
    parts += [
        _duvet(width, duvet.surface),
        box((width + 0.035, 0.18, 0.21), LINEN, (0, 0.49, 0.505), bevel=0.07, cell=0.4),
    ]
    for k in range(2 if double else 1):
        x = (k - 0.5) * width * 0.48 if double else 0.0
        parts += _pillow(0.62, 0.40, LINEN, -0.45, (x, length / 2 - 0.30, 0.66))
        parts += _pillow(0.44, 0.36, duvet.surface, -0.95, (x, length / 2 - 0.46, 0.70))
    return finished("bed", parts, duvet.colour, "")


def _frame(rng: np.random.Generator, style: Style) -> Finish:
    """Draw the finish of a bed frame: wood, paint, or sometimes upholstery."""
    return cloth(rng, style) if rng.random() < 0.3 else cabinetry(rng, style)


def _duvet(width: float, surface: Material) -> Part:
    size = (width + 0.03, 1.52, 0.20)
    return box(size, surface, (0, -0.25, 0.50), 0.07, segments=1, cell=0.5, puff=0.025)


def _pillow(
    width: float,
    depth: float,
    surface: Material,
    tilt: float,
    at: Sequence[float],
) -> list[Part]:
    """Build a pillow that is tilted towards the head by `tilt` radians."""
    pillow = box((width, depth, 0.11), surface, bevel=0.05, cell=0.4, puff=0.04)
    return transform([pillow], -tilt, at, axis="x")
