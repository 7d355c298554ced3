"""Furniture of walls, floors and openings: pictures, mirrors, clocks, rugs, curtains and doors."""

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    BRASS,
    WHITE,
    Item,
    cloth,
    darker,
    finished,
    paint,
    shade,
    wood_surface,
)
from clipnav.envs.houses.materials.colours import Colour
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    lathe,
    quad,
    sheet,
    sphere,
    transform,
    tube,
)
from clipnav.storage.errors import UserError

_PICTURE_SIZES = ((0.9, 0.7), (0.7, 0.9), (1.1, 0.75), (0.8, 0.8))
_RUG_SIZES = ((2.4, 1.7), (2.0, 1.4), (1.7, 1.2))
_LEAF_THICKNESS = 0.04


def picture(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a framed painting, optionally of a given colour."""
    chosen = _choose(rng, [c.name for c in style.paintings], colour, "painting")
    width, height = pick(rng, _PICTURE_SIZES)
    frame = pick(rng, (BLACK, BRASS, WHITE, Material("wood", (0.45, 0.29, 0.17))))
    parts = _framed(width, height, 0.045, frame, Material(f"painting{chosen}"))
    return finished("picture", parts, style.paintings[chosen].name, "", "wall")


def _choose(rng: np.random.Generator, names: list[str], colour: str | None, thing: str) -> int:
    """Draw the index of one of several named colours, optionally of a given one."""
    fitting = [k for k, name in enumerate(names) if colour in (None, name)]
    if not fitting:
        known = ", ".join(sorted(set(names)))
        raise UserError(f"this house has no {colour} {thing}; use one of {known}")
    return pick(rng, fitting)


def _framed(
    width: float, height: float, rim: float, frame: Material, picture_surface: Material
) -> list[Part]:
    """Build an upright picture in a frame of four bars with their backs at y = 0."""
    thickness = 0.04
    lying, standing = (width + 2 * rim, thickness, rim), (rim, thickness, height)
    parts = []
    for side in (-1, 1):
        parts.append(box(lying, frame, (0, -thickness / 2, side * (height + rim) / 2)))
        parts.append(box(standing, frame, (side * (width + rim) / 2, -thickness / 2, 0)))
    corner, right, up = (-width / 2, -0.018, -height / 2), (width, 0, 0), (0, 0, height)
    return [*parts, quad(corner, right, up, picture_surface, 0.5, pictorial=True)]


def mirror(
    rng: np.random.Generator,
    style: Style,
    width: float | None = None,
    height: float | None = None,
    colour: str | None = None,
) -> Item:
    """Build a rectangular or round mirror in a wide frame; `colour` is that of the frame."""
    drawn = shade(rng, (*style.woods, *style.paints), colour)
    frame = wood_surface(drawn) if drawn in style.woods else paint(drawn.rgb)
    if width is None and height is None and rng.random() < 0.4:
        turn = np.linspace(0, 2 * np.pi, 29)
        cosine, sine = np.cos(turn), np.sin(turn)
        ring = np.stack([0.40 * cosine, np.full_like(turn, -0.035), 0.40 * sine], 1)
        parts = [tube(ring, 0.06, frame, sides=8), _picture_disc(0.40, -0.03, Material("mirror"))]
    else:
        parts = _framed(width or 0.65, height or 0.95, 0.09, frame, Material("mirror"))
    return finished("mirror", parts, drawn.name, "glass", "wall")


def _picture_disc(radius: float, y: float, surface: Material, share: float = 1.0) -> Part:
    """Build a disc that faces -y and shows the middle `share` of a picture."""
    turn = np.linspace(0, 2 * np.pi, 29)
    reach = np.array([0.0, 0.5, 1.0])[:, None] * radius
    points = np.stack(np.broadcast_arrays(reach * np.cos(turn), y, reach * np.sin(turn)), -1)
    uvs = 0.5 + 0.5 * share * np.stack([points[..., 0], -points[..., 2]], -1) / radius
    return sheet(points, surface, uvs)


def wall_clock(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a large round clock; `colour` is that of its rim."""
    drawn = shade(rng, (*style.fabrics[:4], Colour("black", (0.08, 0.08, 0.09))), colour)
    rim = [(0, 0), (0.30, 0), (0.30, 0.05), (0.215, 0.055), (0.21, 0.03)]
    parts = transform([lathe(rim, paint(drawn.rgb), sides=28)], np.pi / 2, axis="x")
    parts.append(_picture_disc(0.215, -0.032, Material("clock"), share=0.92))
    return finished("wall clock", parts, drawn.name, "", "wall")


def rug(
    rng: np.random.Generator,
    style: Style,
    width: float | None = None,
    depth: float | None = None,
    colour: str | None = None,
) -> Item:
    """Build a rug, optionally of a given colour."""
    chosen = _choose(rng, [c.name for c in style.rugs], colour, "rug")
    usual_width, usual_depth = pick(rng, _RUG_SIZES)
    width, depth = width or usual_width, depth or usual_depth
    ground = style.rugs[chosen]
    rim = darker(Material("carpet", ground.rgb), 0.6)
    corner, right, back = (-width / 2, -depth / 2, 0.012), (width, 0, 0), (0, depth, 0)
    parts = [
        box((width, depth, 0.012), rim, (0, 0, 0.006), faces="xXyY"),
        quad(corner, right, back, Material(f"rug{chosen}"), 0.3, pictorial=True),
    ]
    return finished("rug", parts, ground.name, "fabric")


def curtain(
    rng: np.random.Generator,
    style: Style,
    width: float = 1.4,
    height: float = 2.3,
    colour: str | None = None,
) -> Item:
    """Build two drawn-back curtains on a rod."""
    cover = cloth(rng, style, colour)
    parts = [_hanging(side, width, height, cover.surface) for side in (-1, 1)]
    rod, end = height - 0.02, width / 2 + 0.22
    parts.append(tube([(-end, -0.07, rod), (end, -0.07, rod)], 0.014, style.metal, sides=8))
    for side in (-1, 1):
        bracket = (side * (width / 2 + 0.17), -0.035, rod)
        parts.append(sphere(0.028, style.metal, (side * end, -0.07, rod), sides=8))
        parts.append(box((0.02, 0.07, 0.02), style.metal, bracket))
    return finished("curtain", parts, cover.colour, cover.word, "wall")


def _hanging(side: int, width: float, height: float, surface: Material) -> Part:
    """Build one curtain in four folds; `side` is -1 for the left one."""
    across, down = np.linspace(0, 1, 17), np.linspace(height - 0.03, 0, 3)
    breadth = 0.15 + width * 0.20
    x = side * (width / 2 + 0.15 - across * breadth)
    y = -0.07 + 0.032 * np.sin(across * 2 * np.pi * 4)
    points = np.stack(np.broadcast_arrays(x, y, down[:, None]), -1)
    uvs = np.stack(np.broadcast_arrays(across * breadth * 1.6, down[:, None]), -1)
    if side > 0:
        points, uvs = points[:, ::-1], uvs[:, ::-1]
    return sheet(points, surface, uvs, thickness=0.006)


def door(
    rng: np.random.Generator,
    style: Style,
    width: float = 0.85,
    height: float = 2.03,
    colour: str | None = None,
) -> Item:
    """Build the leaf of an inner door with two panels, its handle at +x, the hinges at -x."""
    drawn = shade(rng, (*style.paints, style.woods[0]), colour)
    wooden = drawn in style.woods
    surface = wood_surface(drawn) if wooden else paint(drawn.rgb)
    parts = [box((width, _LEAF_THICKNESS, height), surface, (0, 0, height / 2), cell=0.7)]
    panel = darker(surface, 0.86)
    for side in (-1, 1):
        y = side * (_LEAF_THICKNESS / 2 + 0.004)
        for low, high in ((0.14, 0.92), (1.12, height - 0.14)):
            size = (width - 0.26, 0.012, high - low)
            parts.append(box(size, panel, (0, y, (low + high) / 2)))
        x = width / 2 - 0.07
        face = side * (_LEAF_THICKNESS / 2 + 0.03)
        parts += [
            box((0.035, 0.012, 0.16), style.metal, (x, side * (_LEAF_THICKNESS / 2 + 0.005), 1.02)),
            box((0.02, 0.05, 0.02), style.metal, (x, face - side * 0.005, 1.05)),
            box((0.13, 0.018, 0.02), style.metal, (x - 0.05, face + side * 0.02, 1.05)),
        ]
    return finished("door", parts, drawn.name, "wooden" if wooden else "")
