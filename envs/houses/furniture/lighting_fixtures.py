"""Lamps. Parts with the texture "lampshade" emit light."""

import numpy as np

from clipnav.envs.houses.furniture.item import Item, finished, paint, shade
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import Material, Part, cylinder, lathe, sphere, tube

GLOW = Material("lampshade", (1.0, 0.95, 0.85))


def shade_parts(
    low_radius: float, top_radius: float, bottom: float, top: float, surface: Material
) -> list[Part]:
    """Build an open lampshade of an outer and an inner wall."""
    outer = [(low_radius, bottom), (top_radius, top)]
    inner = [(top_radius - 0.004, top), (low_radius - 0.004, bottom)]
    return [lathe(outer, surface, sides=20), lathe(inner, surface, sides=20)]


def floor_lamp(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a standing lamp, straight or arched."""
    drawn = shade(rng, style.fabrics, colour)
    pole = style.metal
    parts = [cylinder(0.15, 0.025, pole, sides=20)]
    parts.append(tube([(0, 0, 0.02), (0, 0, 0.8), (0, 0, 1.5)], 0.013, pole))
    parts += shade_parts(0.22, 0.15, 1.36, 1.68, Material("lampshade", _lit(drawn.rgb)))
    return finished("floor lamp", parts, drawn.name)


def _lit(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the colour of a lampshade that is lit from inside."""
    red, green, blue = (min(1.0, 0.05 + 1.1 * channel) for channel in rgb)
    return red, green, blue


def table_lamp(rng: np.random.Generator, style: Style) -> list[Part]:
    """Build a lamp with a glazed foot on z = 0."""
    foot = paint(pick(rng, style.fabrics).rgb)
    profile = [(0, 0), (0.07, 0), (0.08, 0.02), (0.03, 0.06), (0.06, 0.15), (0.02, 0.24), (0, 0.26)]
    return [lathe(profile, foot, sides=12, crease=1.2), *shade_parts(0.13, 0.09, 0.22, 0.42, GLOW)]


def ceiling_light(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a ceiling light of the house's shape; pendants have a colour of the palette."""
    drawn = shade(rng, style.fabrics, colour)
    if style.lamp == "pendant":
        profile = [(0.23, -0.74), (0.06, -0.52), (0.0, -0.51)]
        inner = [(0.0, -0.515), (0.055, -0.525), (0.225, -0.74)]
        parts = [_cord(-0.52), lathe(profile, paint(drawn.rgb)), lathe(inner, GLOW)]
        parts.append(sphere(0.06, GLOW, (0, 0, -0.68)))
        return finished("ceiling light", parts, drawn.name, "", "ceiling")
    build = {"globe": _globe, "bowl": _bowl, "chandelier": _chandelier}[style.lamp]
    return finished("ceiling light", build(style), "white", "glass", "ceiling")


def _cord(end: float) -> Part:
    return tube([(0, 0, 0), (0, 0, end)], 0.007, paint((0.07, 0.07, 0.08)), sides=5)


def _globe(style: Style) -> list[Part]:
    return [
        cylinder(0.06, 0.03, style.metal, (0, 0, -0.03)),
        _cord(-0.36),
        sphere(0.17, GLOW, (0, 0, -0.52), sides=18),
    ]


def _bowl(style: Style) -> list[Part]:
    profile = [(0, -0.12), (0.14, -0.10), (0.22, -0.05), (0.24, -0.02)]
    return [
        lathe(profile, GLOW, sides=24, crease=2),
        cylinder(0.10, 0.02, style.metal, (0, 0, -0.02), sides=24),
    ]


def _chandelier(style: Style) -> list[Part]:
    parts = [_cord(-0.45), sphere(0.05, style.metal, (0, 0, -0.48))]
    for turn in np.arange(5) * 2 * np.pi / 5:
        x, y = np.cos(turn), np.sin(turn)
        arm = [
            (0.03 * x, 0.03 * y, -0.48),
            (0.15 * x, 0.15 * y, -0.55),
            (0.26 * x, 0.26 * y, -0.47),
        ]
        parts.append(tube(arm, 0.009, style.metal, sides=5))
        parts.append(sphere(0.055, GLOW, (0.26 * x, 0.26 * y, -0.41), sides=10))
    return parts
