"""Things for the eye: plants, vases, pictures, mirrors, rugs, curtains, a fire, a clock, fish."""

import numpy as np

from envs.houses.furniture.item import (
    BLACK,
    BRASS,
    WHITE,
    Item,
    cabinetry,
    cloth,
    darker,
    finished,
    paint,
    shade,
    timber,
)
from envs.houses.geometry import (
    Material,
    Part,
    box,
    cylinder,
    lathe,
    quad,
    sheet,
    sphere,
    transform,
    tube,
)
from envs.houses.style import Style, pick

LEAF = Material("leaf")


def vase(rng: np.random.Generator, style: Style, blossoms: int = 6) -> list[Part]:
    """A vase of flowers that stands on z = 0."""
    glaze = paint(pick(rng, style.fabrics).rgb)
    profile = [(0, 0), (0.05, 0), (0.075, 0.06), (0.07, 0.12), (0.035, 0.19), (0.045, 0.22)]
    parts = [lathe([*profile, (0.03, 0.215)], glaze, sides=12, crease=1.2)]
    petals = paint(pick(rng, ((0.92, 0.35, 0.45), (0.96, 0.94, 0.90), (0.96, 0.80, 0.25))))
    for _ in range(blossoms):
        turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.11)
        end = np.array([away * np.cos(turn), away * np.sin(turn), 0.22 + rng.uniform(0.08, 0.2)])
        parts.append(
            tube([(0, 0, 0.18), end], 0.004, Material("plain", (0.2, 0.45, 0.18)), sides=4)
        )
        parts.append(sphere(0.032, petals, end, (1, 1, 0.7), sides=6))
    return parts


def plant(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A large plant in a pot: a palm, a small tree or a snake plant. Always green to the eye."""
    del colour
    height = rng.uniform(0.9, 1.5)
    pot = paint(
        pick(
            rng,
            [(0.75, 0.38, 0.25), (0.93, 0.93, 0.91), style.fabrics[0].rgb, style.fabrics[1].rgb],
        )
    )
    profile = [(0, 0), (0.13, 0), (0.18, 0.30), (0.19, 0.32), (0.17, 0.32), (0.16, 0.28)]
    parts = [lathe(profile, pot, sides=18), cylinder(0.165, 0.01, Material("soil"), (0, 0, 0.27))]
    grow = pick(rng, (_palm, _small_tree, _snake_plant))
    parts += transform(grow(rng, height - 0.28), offset=(0, 0, 0.28))
    return finished("plant", parts, "green")


def _palm(rng: np.random.Generator, height: float) -> list[Part]:
    return [
        _blade(
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.35, 0.6) * height,
            0.09,
            rng.uniform(0.45, 1.0) * height,
            rng.uniform(0, 0.35),
        )
        for _ in range(22)
    ]


def _small_tree(rng: np.random.Generator, height: float) -> list[Part]:
    bark = Material("wood", (0.35, 0.27, 0.17))
    parts = []
    for _ in range(3):
        top = np.array(
            [rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), height * rng.uniform(0.7, 0.9)]
        )
        parts.append(tube([(0, 0, -0.02), top * 0.5 + (0.02, 0, 0.05), top], 0.013, bark, sides=5))
        for _ in range(11):
            blade = _blade(rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.32), 0.16, 0.12, 0.10)
            parts += transform([blade], offset=top * rng.uniform(0.5, 1.0) + (0, 0, 0.03))
    return parts


def _snake_plant(rng: np.random.Generator, height: float) -> list[Part]:
    return [
        _blade(
            rng.uniform(0, 2 * np.pi),
            rng.uniform(0.05, 0.20),
            0.08,
            rng.uniform(0.7, 1.1) * height,
            0.0,
        )
        for _ in range(14)
    ]


def _blade(heading: float, reach: float, width: float, rise: float, droop: float) -> Part:
    """One arching leaf from the origin: `reach` outwards, first rising, then drooping."""
    along = np.linspace(0, 1, 6)
    spine = np.stack([reach * along, rise * np.sin(along * np.pi * 0.6) - droop * along**2], 1)
    half = width / 2 * np.sin(np.pi * np.clip(along * 0.93 + 0.07, 0, 1)) ** 0.8
    across = np.array([-1.0, 0.0, 1.0])
    points = np.empty((6, 3, 3))
    points[..., 0] = spine[:, :1]
    points[..., 1] = half[:, None] * across
    points[..., 2] = spine[:, 1:] + 0.25 * half[:, None] * np.abs(across)
    uvs = np.stack(np.broadcast_arrays((across + 1) / 2, along[:, None]), -1)
    return transform([sheet(points, LEAF, uvs, thickness=0.002)], heading)[0]


def picture(
    rng: np.random.Generator, style: Style, number: int | None = None, colour: str | None = None
) -> Item:
    """A framed painting: `number` of the house's paintings, or one of the asked colour."""
    fitting = [k for k, ground in enumerate(style.paintings) if colour in (None, ground.name)]
    if not fitting:
        raise ValueError(f"this house has no {colour} painting; leave the colour out")
    chosen = pick(rng, fitting) if number is None else number % len(style.paintings)
    width, height = pick(rng, ((0.9, 0.7), (0.7, 0.9), (1.1, 0.75), (0.8, 0.8)))
    frame = pick(rng, (BLACK, BRASS, WHITE, Material("wood", (0.45, 0.29, 0.17))))
    parts = _frame(width, height, 0.045, 0.035, frame)
    corner, edge_u, edge_v = (-width / 2, -0.012, -height / 2), (width, 0, 0), (0, 0, height)
    parts.append(quad(corner, edge_u, edge_v, Material(f"painting{chosen}"), 0.5, pictorial=True))
    return finished("picture", parts, style.paintings[chosen].name, "", "wall")


def _frame(
    width: float, height: float, rim: float, thickness: float, surface: Material
) -> list[Part]:
    """Four bars round an opening; their backs lie at y = 0."""
    y = -thickness / 2
    parts = []
    for side in (-1, 1):
        parts.append(
            box((width + 2 * rim, thickness, rim), surface, (0, y, side * (height + rim) / 2))
        )
        parts.append(box((rim, thickness, height), surface, (side * (width + rim) / 2, y, 0)))
    return parts


def mirror(
    rng: np.random.Generator,
    style: Style,
    width: float | None = None,
    height: float | None = None,
    colour: str | None = None,
) -> Item:
    """A mirror in a broad frame, rectangular or round; the colour is that of the frame."""
    frame = shade(rng, (*style.woods, *style.paints), colour)
    rim = Material("wood" if frame in style.woods else "plain", frame.rgb)
    if width is None and rng.random() < 0.4:
        parts = _round_mirror(rim)
    else:
        width, height = width or 0.65, height or 0.95
        parts = _frame(width, height, 0.06, 0.04, rim)
        corner, edge_u, edge_v = (-width / 2, -0.015, -height / 2), (width, 0, 0), (0, 0, height)
        parts.append(quad(corner, edge_u, edge_v, Material("mirror"), 0.5, pictorial=True))
    return finished("mirror", parts, frame.name, "glass", "wall")


def _round_mirror(rim: Material) -> list[Part]:
    turn = np.linspace(0, 2 * np.pi, 33)
    ring = np.stack([0.40 * np.cos(turn), np.full(33, -0.03), 0.40 * np.sin(turn)], 1)
    radius = np.array([0.0, 0.2, 0.40])[:, None]
    points = np.stack([radius * np.cos(turn), np.full((3, 33), -0.03), radius * np.sin(turn)], -1)
    uvs = np.stack([0.5 + points[..., 0] / 0.8, 0.5 - points[..., 2] / 0.8], -1)
    glass = sheet(points[:, ::-1], Material("mirror"), uvs[:, ::-1])
    return [tube(ring, 0.035, rim), glass]


def rug(
    rng: np.random.Generator,
    style: Style,
    width: float | None = None,
    depth: float | None = None,
    number: int | None = None,
    colour: str | None = None,
) -> Item:
    """A rug: `number` of the house's rugs, or one of the asked colour."""
    fitting = [k for k, ground in enumerate(style.rugs) if colour in (None, ground.name)]
    if not fitting:
        raise ValueError(f"this house has no {colour} rug; leave the colour out")
    chosen = pick(rng, fitting) if number is None else number % len(style.rugs)
    usual = pick(rng, ((2.4, 1.7), (2.0, 1.4), (1.7, 1.2)))
    width, depth = width or usual[0], depth or usual[1]
    ground = style.rugs[chosen]
    edge = darker(Material("carpet", ground.rgb), 0.6)
    parts = [
        box((width, depth, 0.012), edge, (0, 0, 0.006), faces="xXyY"),
        quad(
            (-width / 2, -depth / 2, 0.012),
            (width, 0, 0),
            (0, depth, 0),
            Material(f"rug{chosen}"),
            0.3,
            True,
        ),
    ]
    return finished("rug", parts, ground.name, "fabric")


def curtain(
    rng: np.random.Generator,
    style: Style,
    width: float = 1.4,
    height: float = 2.3,
    colour: str | None = None,
) -> Item:
    """Two drawn-back curtains on a rod over a window of `width`.

    Args:
        rng: Source of the colour, if none is asked.
        style: Taste of the house.
        width: Width of the window; the curtains reach 0.15 m beyond it on both sides.
        height: Height of the curtains from hem to rod.
        colour: Name of their colour.
    """
    cover = cloth(rng, style, colour)
    parts = [_hanging(side, width, height, cover.surface) for side in (-1, 1)]
    rod = height - 0.02
    ends = width / 2 + 0.22
    parts.append(tube([(-ends, -0.07, rod), (ends, -0.07, rod)], 0.014, style.metal, sides=8))
    for side in (-1, 1):
        parts.append(sphere(0.028, style.metal, (side * ends, -0.07, rod), sides=8))
        parts.append(box((0.02, 0.07, 0.02), style.metal, (side * (width / 2 + 0.17), -0.035, rod)))
    return finished("curtain", parts, cover.colour, cover.word, "wall")


def _hanging(side: int, width: float, height: float, surface: Material) -> Part:
    """One curtain in five folds; `side` is -1 for the left one."""
    across, down = np.linspace(0, 1, 31), np.linspace(height - 0.03, 0, 6)
    breadth = 0.15 + width * 0.20
    x = side * (width / 2 + 0.15) - side * across * breadth
    y = -0.07 + 0.035 * np.sin(across * 2 * np.pi * 5)
    points = np.stack(np.broadcast_arrays(x, y, down[:, None]), -1)
    uvs = np.stack(np.broadcast_arrays(across * breadth * 1.6, down[:, None]), -1)
    if side > 0:
        points, uvs = points[:, ::-1], uvs[:, ::-1]
    return sheet(points, surface, uvs, thickness=0.006)


def aquarium(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A tank with fish on a cupboard; blue to the eye."""
    del colour
    cupboard = cabinetry(rng, style).surface
    width, depth = 1.1, 0.42
    parts = [box((width, depth, 0.68), cupboard, (0, 0, 0.34))]
    for side in (-1, 1):
        parts.append(
            box(
                (width / 2 - 0.03, 0.02, 0.6),
                darker(cupboard, 0.9),
                (side * width / 4, -depth / 2, 0.35),
            )
        )
    water = Material("aquarium")
    bottom, rise = 0.70, 0.50
    x, y = width / 2 - 0.02, depth / 2 - 0.02
    parts += [
        quad((-x, -y, bottom), (2 * x, 0, 0), (0, 0, rise), water, 0.6, True),
        quad((x, -y, bottom), (0, 2 * y, 0), (0, 0, rise), water, 0.6, True),
        quad((-x, y, bottom), (0, -2 * y, 0), (0, 0, rise), water, 0.6, True),
        quad((x, y, bottom), (-2 * x, 0, 0), (0, 0, rise), water, 0.6, True),
        box((width, depth, 0.03), BLACK, (0, 0, 0.69)),
        box((width, depth, 0.06), BLACK, (0, 0, 1.22)),
    ]
    return finished("aquarium", parts, "blue", "glass")


def fireplace(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A mantelpiece round a burning fire: brick, or painted."""
    if colour in (None, "red") and (colour or rng.random() < 0.5):
        surface, name = Material("brick"), "red"
    else:
        drawn = shade(rng, (style.paints[-1],), colour)
        surface, name = Material("plaster", drawn.rgb), drawn.name
    wood = timber(rng, style).surface
    width, height, depth = 1.5, 1.15, 0.42
    parts = [
        box((0.36, depth, height), surface, (s * (width / 2 - 0.18), 0, height / 2))
        for s in (-1, 1)
    ]
    parts += [
        box((width - 0.72, depth, 0.40), surface, (0, 0, height - 0.20)),
        box((width + 0.2, depth + 0.1, 0.07), wood, (0, -0.03, height + 0.035), bevel=0.012),
        box(
            (width + 0.1, depth + 0.25, 0.05),
            Material("marble", (0.45, 0.45, 0.47)),
            (0, -0.12, 0.025),
        ),
        box((width - 0.72, 0.02, height - 0.40), BLACK, (0, depth / 2 - 0.01, (height - 0.4) / 2)),
        quad((-0.36, 0.06, 0.05), (0.72, 0, 0), (0, 0, 0.62), Material("fire"), 0.4, True),
    ]
    for k in range(3):
        log = tube(
            [(-0.28, 0, 0), (0.28, 0.02 * k, 0.01)], 0.05, Material("wood", (0.38, 0.25, 0.16))
        )
        parts += transform([log], offset=(0, -0.02 - 0.09 * (k % 2), 0.10 + 0.07 * (k == 2)))
    parts += transform(vase(rng, style), offset=(-0.55, 0, height + 0.07))
    return finished("fireplace", parts, name, "")


def grandfather_clock(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """A tall clock with a dial and a pendulum behind glass."""
    finish = timber(rng, style, colour)
    wood, dark = finish.surface, darker(finish.surface, 0.75)
    parts = [
        box((0.52, 0.34, 0.40), wood, (0, 0, 0.20), bevel=0.012),
        box((0.38, 0.28, 1.00), wood, (0, 0, 0.90)),
        box((0.50, 0.34, 0.48), wood, (0, 0, 1.64), bevel=0.012),
        box((0.56, 0.38, 0.06), dark, (0, 0, 1.90)),
        box((0.56, 0.38, 0.06), dark, (0, 0, 0.41)),
        box((0.26, 0.01, 0.80), BLACK, (0, -0.142, 0.92)),
        quad((-0.19, -0.176, 1.45), (0.38, 0, 0), (0, 0, 0.38), Material("clock"), 1, True),
        box((0.015, 0.012, 0.55), BRASS, (0.02, -0.152, 1.0)),
        sphere(0.075, BRASS, (0.02, -0.155, 0.70), (1, 0.2, 1), sides=14),
    ]
    crown = lathe([(0.0, 0), (0.26, 0.0), (0.18, 0.10), (0.05, 0.15), (0, 0.16)], dark, sides=4)
    parts += transform([crown], np.pi / 4, (0, 0, 1.93))
    return finished("grandfather clock", parts, finish.colour, finish.word)
