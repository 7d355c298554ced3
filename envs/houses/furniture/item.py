"""Furniture items, and the finishes and small parts that many items share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.materials.colours import RGB, Colour, pick_shade
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    bounds,
    box,
    cylinder,
    sphere,
    transform,
    tube,
)

BLACK = Material("plain", (0.07, 0.07, 0.08))
WHITE = Material("plain", (0.95, 0.95, 0.94))
CERAMIC = Material("plain", (0.97, 0.97, 0.97))
CHROME = Material("metal", (0.82, 0.84, 0.87))
STEEL = Material("metal", (0.66, 0.68, 0.71))
DARK_STEEL = Material("metal", (0.30, 0.31, 0.33))
BRASS = Material("metal", (0.80, 0.62, 0.30))
LINEN = Material("fabric", (0.98, 0.97, 0.94))


@dataclass(frozen=True, eq=False)
class Item:
    """A piece of furniture in its own frame: x width, +y back (wall side), z up.

    The origin is on the floor at the centre of the footprint; for `mount == "wall"` at the centre
    of the back; for `mount == "ceiling"` on the ceiling.

    Attributes:
        category: One of `clipnav.envs.houses.furniture.CATEGORIES`.
        parts: Its meshes.
        size: Width, depth and height of its bounding box in metres.
        colour: Plain English name of the dominant colour.
        material: "wooden", "leather", "fabric", "metal", "ceramic", "glass" or "".
        mount: "floor", "wall" or "ceiling".
    """

    category: str
    parts: tuple[Part, ...]
    size: tuple[float, float, float]
    colour: str
    material: str
    mount: str = "floor"


@dataclass(frozen=True)
class Finish:
    """A material with the words that describe it.

    Attributes:
        surface: Texture and tint.
        colour: Name of its colour.
        word: Material word, see `Item.material`.
    """

    surface: Material
    colour: str
    word: str


def finished(
    category: str, parts: Sequence[Part], colour: str, material: str = "", mount: str = "floor"
) -> Item:
    """Make an item of parts: move them to the origin of the mount and measure them."""
    lower, upper = bounds(parts)
    middle = (lower + upper) / 2
    anchor = {
        "floor": (middle[0], middle[1], lower[2]),
        "wall": (middle[0], upper[1], middle[2]),
        "ceiling": (middle[0], middle[1], upper[2]),
    }[mount]
    width, depth, height = (float(extent) for extent in upper - lower)
    placed = transform(parts, offset=-np.array(anchor))
    return Item(category, tuple(placed), (width, depth, height), str(colour), material, mount)


def shade(rng: np.random.Generator, palette: Sequence[Colour], colour: str | None) -> Colour:
    """Draw from a palette, or return a shade named `colour`, from the palette if possible."""
    if colour is None:
        return pick(rng, palette)
    known = [candidate for candidate in palette if candidate.name == colour]
    return pick(rng, known) if known else pick_shade(colour, rng)


def cloth(rng: np.random.Generator, style: Style, colour: str | None = None) -> Finish:
    """Draw a cloth from the palette of the house."""
    drawn = shade(rng, style.fabrics, colour)
    return Finish(Material("fabric", drawn.rgb), drawn.name, "fabric")


def upholstery(rng: np.random.Generator, style: Style, colour: str | None = None) -> Finish:
    """Draw cloth, or sometimes leather."""
    if rng.random() < 0.25:
        drawn = shade(rng, style.leathers, colour)
        return Finish(Material("leather", drawn.rgb), drawn.name, "leather")
    return cloth(rng, style, colour)


def timber(rng: np.random.Generator, style: Style, colour: str | None = None) -> Finish:
    """Draw a tone of wood; the main tone is more likely."""
    palette = style.woods if rng.random() < 0.5 else style.woods[:1]
    drawn = shade(rng, palette, colour)
    return Finish(wood_surface(drawn), drawn.name, "wooden")


def wood_surface(tone: Colour) -> Material:
    """Return the material of a tone of wood; white is paint, because grain would look grey."""
    return Material("plain" if tone.name == "white" else "wood", tone.rgb)


def cabinetry(rng: np.random.Generator, style: Style, colour: str | None = None) -> Finish:
    """Draw wood or paint for a large piece."""
    wooden = {wood.name for wood in style.woods}
    if (colour in wooden) if colour else rng.random() < 0.7:
        return timber(rng, style, colour)
    drawn = shade(rng, style.paints, colour)
    return Finish(Material("plain", drawn.rgb), drawn.name, "")


def darker(surface: Material, factor: float = 0.8) -> Material:
    """Return the same material in a darker tone."""
    red, green, blue = (channel * factor for channel in surface.tint)
    return Material(surface.texture, (red, green, blue))


def paint(rgb: RGB | Iterable[float]) -> Material:
    """Return a plain material of a display-space colour."""
    red, green, blue = (float(channel) for channel in rgb)
    return Material("plain", (red, green, blue))


def feet(
    width: float, depth: float, height: float, surface: Material, radius: float = 0.02
) -> list[Part]:
    """Build four round feet with axes at the corners of a rectangle."""
    corners = [(x * width / 2, y * depth / 2, 0) for x in (-1, 1) for y in (-1, 1)]
    return [
        cylinder(radius * 0.75, height, surface, corner, top_radius=radius, sides=8)
        for corner in corners
    ]


def posts(width: float, depth: float, height: float, surface: Material, side: float) -> list[Part]:
    """Build four square legs; `width` and `depth` are outer measures."""
    x, y = (width - side) / 2, (depth - side) / 2
    return [
        box((side, side, height), surface, (sx * x, sy * y, height / 2))
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]


def knob(surface: Material, at: Sequence[float], radius: float = 0.016) -> Part:
    """Build a small round handle."""
    return sphere(radius, surface, at, sides=6)


def bar_handle(
    surface: Material, at: Sequence[float], length: float, upright: bool = False
) -> Part:
    """Build a straight bar handle in front of a door or drawer."""
    half = np.array([0, 0, length / 2] if upright else [length / 2, 0, 0])
    return tube([at - half, at + half], 0.008, surface, sides=5)


def slab(size: Sequence[float], surface: Material, at: Sequence[float]) -> list[Part]:
    """Build a door or drawer front with a raised panel and its back at y = `at[1]`.

    The panel is raised, not recessed, because light is stored at vertices: those of a recessed
    panel would be in the dark behind the frame.
    """
    width, thickness, height = size
    x, y, z = at
    rim = min(0.06, width / 5, height / 5)
    panel = (width - 2 * rim, thickness / 2, height - 2 * rim)
    middle = (x, y - thickness * 1.25, z)
    return [
        box((width, thickness, height), surface, (x, y - thickness / 2, z), faces="xXyzZ"),
        box(panel, darker(surface, 0.96), middle, faces="xXyzZ"),
    ]
