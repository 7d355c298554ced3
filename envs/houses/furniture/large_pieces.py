"""Seats, beds, tables, cupboards, chests and shelves."""

from collections.abc import Sequence

import numpy as np

from clipnav.envs.houses.furniture.item import (
    BLACK,
    CHROME,
    LINEN,
    Finish,
    Item,
    bar_handle,
    cabinetry,
    cloth,
    darker,
    feet,
    finished,
    knob,
    paint,
    posts,
    slab,
    timber,
    upholstery,
)
from clipnav.envs.houses.furniture.small_things import bowl_of_fruit, ornament, table_lamp, vase
from clipnav.envs.houses.materials.style import Style, pick
from clipnav.envs.houses.meshes.geometry import (
    Material,
    Part,
    box,
    cylinder,
    quad,
    sphere,
    transform,
    tube,
)


def sofa(
    rng: np.random.Generator,
    style: Style,
    seats: int = 3,
    colour: str | None = None,
) -> Item:
    """Build a couch of two or three seats with loose cushions of another colour."""
    cover = upholstery(rng, style, colour)
    parts = _couch(rng, cover, seats)
    for x in rng.permutation(np.linspace(-0.5, 0.5, 3))[: rng.integers(1, 4)]:
        pillow = cloth(rng, style).surface
        parts += _pillow(rng, pillow, x * (0.62 * seats - 0.4))
    return finished("sofa", parts, cover.colour, cover.word)


def armchair(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build an armchair with one deep seat."""
    cover = upholstery(rng, style, colour)
    return finished("armchair", _couch(rng, cover, 1), cover.colour, cover.word)


def _couch(rng: np.random.Generator, cover: Finish, seats: int) -> list[Part]:
    """Build base, arms, back, and a seat and a back cushion for each seat."""
    surface, seat = cover.surface, 0.62
    arm, depth = pick(rng, ((0.12, 0.88), (0.20, 0.92), (0.26, 0.95)))
    width = seat * seats + 2 * arm
    arm_height = rng.uniform(0.52, 0.64)
    parts = [box((width - 0.06, depth - 0.10, 0.20), surface, (0, 0, 0.22), bevel=0.03)]
    back = box((width - 2 * arm + 0.02, 0.20, 0.55), surface, bevel=0.07)
    parts += transform([back], -0.12, (0, depth / 2 - 0.12, 0.56), axis="x")
    for side in (-1, 1):
        at = (side * (width - arm) / 2, -0.02, 0.10 + (arm_height - 0.10) / 2)
        size = (arm, depth - 0.06, arm_height - 0.10)
        parts.append(box(size, surface, at, bevel=min(0.09, arm * 0.48), segments=1))
    for k in range(seats):
        x = (k - (seats - 1) / 2) * seat
        size = (seat - 0.02, 0.66, 0.17)
        parts.append(box(size, surface, (x, -0.11, 0.41), bevel=0.05, cell=0.6, puff=0.03))
        rest = box((seat - 0.04, 0.17, 0.42), surface, bevel=0.06)
        parts += transform([rest], -0.20, (x, 0.22, 0.66), axis="x")
    return parts + feet(
        width - 0.16, depth - 0.16, 0.13, Material("wood", (0.30, 0.19, 0.12)), 0.03
    )


def _pillow(rng: np.random.Generator, surface: Material, x: float) -> list[Part]:
    """Build a loose cushion that leans on the back of a couch."""
    pillow = box((0.42, 0.42, 0.10), surface, bevel=0.045, cell=0.18, puff=0.05)
    leaning = transform([pillow], 1.15, axis="x")
    return transform(leaning, rng.uniform(-0.3, 0.3), (x, 0.0, 0.70))


def chair(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a chair for a table: slatted wood, upholstered, or a plastic shell."""
    build = pick(rng, (_slatted_chair, _upholstered_chair, _shell_chair))
    return build(rng, style, colour)


def _slatted_chair(rng: np.random.Generator, style: Style, colour: str | None) -> Item:
    frame = cabinetry(rng, style, colour)
    surface = frame.surface
    parts = [box((0.44, 0.43, 0.04), surface, (0, 0, 0.45), bevel=0.012)]
    for side in (-0.19, 0.19):
        parts.append(box((0.038, 0.038, 0.43), surface, (side, -0.18, 0.215)))
        leg = [
            (side, 0.21, 0),
            (side, 0.19, 0.46),
            (side * 0.95, 0.22, 0.70),
            (side * 0.9, 0.26, 0.94),
        ]
        parts.append(tube(leg, 0.02, surface))
    for z in (0.60, 0.73, 0.86):
        slat = box((0.34, 0.02, 0.08), surface)
        parts += transform([slat], -0.12, (0, 0.205 + 0.1 * (z - 0.46), z), axis="x")
    return finished("chair", parts, frame.colour, frame.word)


def _upholstered_chair(rng: np.random.Generator, style: Style, colour: str | None) -> Item:
    cover, wood = cloth(rng, style, colour), timber(rng, style).surface
    parts = [box((0.47, 0.46, 0.11), cover.surface, (0, 0, 0.44), bevel=0.04, cell=0.2, puff=0.015)]
    back = box((0.45, 0.08, 0.58), cover.surface, bevel=0.035)
    parts += transform([back], -0.14, (0, 0.22, 0.72), axis="x")
    parts += posts(0.43, 0.42, 0.39, wood, 0.04)
    return finished("chair", parts, cover.colour, cover.word)


def _shell_chair(rng: np.random.Generator, style: Style, colour: str | None) -> Item:
    cover = cloth(rng, style, colour)
    shell = Material("plain", cover.surface.tint)
    wood = Material("wood", (0.80, 0.64, 0.44))
    parts = [box((0.46, 0.44, 0.035), shell, (0, 0, 0.45), bevel=0.016, cell=0.2, puff=-0.01)]
    back = box((0.44, 0.03, 0.42), shell, bevel=0.014)
    parts += transform([back], -0.20, (0, 0.25, 0.67), axis="x")
    for x in (-1, 1):
        for y in (-1, 1):
            parts.append(tube([(x * 0.20, y * 0.20, 0), (x * 0.13, y * 0.13, 0.44)], 0.014, wood))
    return finished("chair", parts, cover.colour)


def stool(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a high round seat on four splayed legs, for a kitchen bar."""
    seat = cabinetry(rng, style, colour)
    legs = style.metal if rng.random() < 0.5 else seat.surface
    parts = [cylinder(0.19, 0.08, seat.surface, (0, 0, 0.58), top_radius=0.18, sides=24)]
    for turn in np.arange(4) * np.pi / 2 + np.pi / 4:
        x, y = np.cos(turn), np.sin(turn)
        parts.append(tube([(0.21 * x, 0.21 * y, 0), (0.12 * x, 0.12 * y, 0.58)], 0.012, legs))
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        ends = [np.pi / 2 * k + np.pi / 4 for k in (a, b)]
        bar = [(0.175 * np.cos(turn), 0.175 * np.sin(turn), 0.22) for turn in ends]
        parts.append(tube(bar, 0.008, legs, sides=4))
    return finished("stool", parts, seat.colour, seat.word)


def office_chair(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a swivel chair on five castors."""
    cover = upholstery(rng, style, colour)
    surface = cover.surface
    parts = [box((0.50, 0.48, 0.10), surface, (0, 0, 0.48), bevel=0.04, cell=0.2, puff=0.02)]
    back = box((0.46, 0.09, 0.58), surface, bevel=0.04, segments=2)
    parts += transform([back], -0.12, (0, 0.25, 0.88), axis="x")
    parts.append(cylinder(0.03, 0.34, CHROME, (0, 0, 0.11), sides=10))
    parts.append(tube([(0, 0.18, 0.45), (0, 0.27, 0.52), (0, 0.28, 0.75)], 0.022, BLACK))
    for turn in np.arange(5) * 2 * np.pi / 5:
        x, y = np.cos(turn), np.sin(turn)
        parts.append(tube([(0, 0, 0.13), (0.29 * x, 0.29 * y, 0.075)], (0.028, 0.018), BLACK))
        parts.append(sphere(0.032, BLACK, (0.29 * x, 0.29 * y, 0.032), sides=8))
    for side in (-1, 1):
        path = [(side * 0.24, 0.1, 0.47), (side * 0.29, 0.08, 0.58), (side * 0.29, 0.0, 0.68)]
        parts.append(tube(path, 0.015, BLACK))
        parts.append(box((0.07, 0.28, 0.035), BLACK, (side * 0.29, 0, 0.69), bevel=0.012))
    return finished("office chair", parts, cover.colour, cover.word)


def entrance_bench(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a long upholstered bench without a back, on wooden feet, with a throw over one end."""
    cover, wood = cloth(rng, style, colour), timber(rng, style).surface
    throw = darker(cloth(rng, style).surface, 0.95)
    parts = [
        box((1.15, 0.42, 0.24), cover.surface, (0, 0, 0.30), bevel=0.03),
        box((1.17, 0.44, 0.10), cover.surface, (0, 0, 0.44), bevel=0.04, cell=0.3, puff=0.015),
        box((0.26, 0.46, 0.16), throw, (0.34, 0, 0.43), bevel=0.03),
    ]
    parts += feet(1.0, 0.30, 0.19, wood, 0.028)
    return finished("entrance bench", parts, cover.colour, cover.word)


def bed(
    rng: np.random.Generator,
    style: Style,
    double: bool = True,
    colour: str | None = None,
) -> Item:
    """Build a bed with its head at the wall; `colour` is that of the duvet, the dominant colour."""
    width = rng.uniform(1.5, 1.75) if double else 0.95
    duvet, frame = (
        cloth(rng, style, colour),
        cloth(rng, style) if rng.random() < 0.3 else cabinetry(rng, style),
    )
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
    size = (width + 0.03, 1.52, 0.20)
    parts += [
        box(size, duvet.surface, (0, -0.25, 0.50), 0.07, segments=1, cell=0.5, puff=0.025),
        box((width + 0.035, 0.18, 0.21), LINEN, (0, 0.49, 0.505), bevel=0.07, cell=0.4),
    ]
    for k in range(2 if double else 1):
        x = (k - 0.5) * width * 0.48 if double else 0.0
        parts += _bed_pillow(0.62, 0.40, LINEN, -0.45, (x, length / 2 - 0.30, 0.66))
        parts += _bed_pillow(0.44, 0.36, duvet.surface, -0.95, (x, length / 2 - 0.46, 0.70))
    return finished("bed", parts, duvet.colour, "")


def _bed_pillow(
    width: float,
    depth: float,
    surface: Material,
    tilt: float,
    at: Sequence[float],
) -> list[Part]:
    """Build a pillow that is tilted towards the head by `tilt` radians."""
    pillow = box((width, depth, 0.11), surface, bevel=0.05, cell=0.4, puff=0.04)
    return transform([pillow], -tilt, at, axis="x")


def dining_table(
    rng: np.random.Generator, style: Style, width: float = 1.6, colour: str | None = None
) -> Item:
    """Build a dining table, 0.75 m high, with a vase on it."""
    finish = timber(rng, style, colour)
    parts = _four_legged(finish, width, 0.9, 0.75)
    parts += transform(vase(rng, style), offset=(0, 0, 0.75))
    return finished("dining table", parts, finish.colour, finish.word)


def _four_legged(finish: Finish, width: float, depth: float, height: float) -> list[Part]:
    surface = finish.surface
    parts = [box((width, depth, 0.045), surface, (0, 0, height - 0.0225), bevel=0.01)]
    parts += posts(width - 0.06, depth - 0.06, height - 0.04, surface, 0.07)
    for side in (-1, 1):
        z = height - 0.09
        parts.append(box((width - 0.18, 0.02, 0.08), surface, (0, side * (depth / 2 - 0.06), z)))
        parts.append(box((0.02, depth - 0.18, 0.08), surface, (side * (width / 2 - 0.06), 0, z)))
    return parts


def coffee_table(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a low table with books and a vase: four-legged with a shelf, or round."""
    finish = cabinetry(rng, style, colour)
    if rng.random() < 0.3:
        parts = [cylinder(0.42, 0.04, finish.surface, (0, 0, 0.38), sides=32)]
        parts += posts(0.5, 0.5, 0.38, finish.surface, 0.045)
    else:
        width = rng.uniform(0.95, 1.2)
        parts = _four_legged(finish, width, 0.56, 0.42)
        parts.append(box((width - 0.12, 0.44, 0.025), finish.surface, (0, 0, 0.15)))
    for k in range(2):
        cover = paint(pick(rng, style.fabrics).rgb)
        parts.append(box((0.25 - 0.03 * k, 0.18, 0.03), cover, (0.2, 0.03, 0.435 + 0.03 * k)))
    parts += transform(vase(rng, style), offset=(-0.18, 0, 0.42))
    return finished("coffee table", parts, finish.colour, finish.word)


def desk(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a desk with drawers, a computer and a lamp."""
    finish = cabinetry(rng, style, colour)
    surface, width, depth, height = finish.surface, 1.4, 0.66, 0.74
    parts = _four_legged(finish, width, depth, height)
    parts.append(box((0.38, depth - 0.08, 0.60), surface, (0.46, 0.01, 0.40)))
    for k in range(3):
        z = 0.20 + 0.195 * k
        parts.append(box((0.35, 0.02, 0.175), surface, (0.46, -0.295, z)))
        parts.append(bar_handle(style.metal, (0.46, -0.32, z), 0.12))
    picture = quad((-0.29, 0.128, 0.13), (0.58, 0, 0), (0, 0, 0.33), Material("monitor"), 1, True)
    parts += transform(
        [
            box((0.62, 0.03, 0.37), BLACK, (0, 0.145, 0.295)),
            picture,
            box((0.06, 0.03, 0.16), BLACK, (0, 0.17, 0.09)),
            box((0.24, 0.18, 0.015), BLACK, (0, 0.16, 0.0075)),
            box((0.42, 0.14, 0.016), BLACK, (0, -0.12, 0.01)),
            quad((-0.21, -0.19, 0.019), (0.42, 0, 0), (0, 0.14, 0), Material("keyboard"), 1, True),
            box((0.06, 0.10, 0.03), BLACK, (0.30, -0.12, 0.015), bevel=0.012),
        ],
        offset=(-0.14, 0, height),
    )
    parts += transform(table_lamp(rng, style), offset=(0.54, 0.16, height))
    return finished("desk", parts, finish.colour, finish.word)


def nightstand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a small chest of two drawers with a lamp, for the side of a bed."""
    finish = cabinetry(rng, style, colour)
    parts = [box((0.46, 0.40, 0.44), finish.surface, (0, 0, 0.30), bevel=0.01)]
    for z in (0.20, 0.40):
        parts += slab((0.42, 0.02, 0.18), darker(finish.surface, 0.93), (0, -0.20, z))
        parts.append(knob(style.metal, (0, -0.24, z)))
    parts += feet(0.38, 0.32, 0.09, finish.surface)
    parts += transform(table_lamp(rng, style), offset=(0.03, 0.03, 0.52))
    return finished("nightstand", parts, finish.colour, finish.word)


def wardrobe(
    rng: np.random.Generator, style: Style, width: float | None = None, colour: str | None = None
) -> Item:
    """Build a tall cupboard for clothes with panelled doors, a cornice and a plinth.

    Of three doors the middle one is a mirror.
    """
    finish = cabinetry(rng, style, colour)
    surface, width, height = finish.surface, width or pick(rng, (1.0, 1.4, 1.8)), 2.1
    doors, tall, middle = max(2, round(width / 0.5)), height - 0.22, height / 2 - 0.02
    parts = [
        box((width, 0.56, height - 0.16), surface, (0, 0.01, height / 2)),
        box((width - 0.04, 0.52, 0.08), darker(surface, 0.6), (0, 0.01, 0.04)),
        box((width + 0.06, 0.62, 0.08), darker(surface, 0.85), (0, 0, height - 0.04)),
    ]
    for k in range(doors):
        x, broad = (k - (doors - 1) / 2) * width / doors, width / doors - 0.015
        parts += slab((broad, 0.025, tall), surface, (x, -0.27, middle))
        if doors == 3 and k == 1:
            corner, right = (x - broad / 2 + 0.06, -0.297, 0.20), (broad - 0.12, 0, 0)
            parts.append(quad(corner, right, (0, 0, tall - 0.24), Material("mirror"), 1, True))
        else:
            panel = darker(surface, 0.86)
            parts += [
                box((broad - 0.17, 0.03, tall * 0.34), panel, (x, -0.288, middle - tall * 0.25)),
                box((broad - 0.17, 0.03, tall * 0.42), panel, (x, -0.288, middle + tall * 0.21)),
            ]
        side = 1 if k % 2 == 0 else -1
        grip = (x + side * (broad / 2 - 0.035), -0.33, 1.05)
        parts.append(bar_handle(style.metal, grip, 0.22, upright=True))
    return finished("wardrobe", parts, finish.colour, finish.word)


def dresser(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a wide chest of six drawers with flowers and boxes on it."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, rng.uniform(1.1, 1.35)
    parts = [
        box((width, 0.46, 0.72), surface, (0, 0, 0.46)),
        box((width + 0.05, 0.52, 0.04), darker(surface, 0.85), (0, 0, 0.84), bevel=0.012),
    ]
    parts += feet(width - 0.12, 0.36, 0.11, darker(surface, 0.8), 0.03)
    for row in range(3):
        for side in (-1, 1):
            x, z = side * width / 4, 0.22 + row * 0.235
            parts += slab((width / 2 - 0.04, 0.02, 0.21), darker(surface, 0.92), (x, -0.23, z))
            parts += [knob(style.metal, (x + s * width / 9, -0.27, z), 0.018) for s in (-1, 1)]
    parts += transform(vase(rng, style), offset=(-width * 0.32, 0, 0.86))
    parts += transform(ornament(rng, style), offset=(width * 0.3, 0, 0.86))
    return finished("dresser", parts, finish.colour, finish.word)


def sideboard(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a long low cupboard on legs, drawers in the middle and a door on either side."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, rng.uniform(1.4, 1.7)
    front, third = darker(surface, 0.9), width / 3
    parts = [box((width, 0.44, 0.58), surface, (0, 0, 0.48), bevel=0.008)]
    parts += feet(width - 0.2, 0.32, 0.20, timber(rng, style).surface, 0.028)
    for side in (-1, 1):
        x = side * third
        parts += slab((third - 0.03, 0.02, 0.52), front, (x, -0.22, 0.48))
        parts.append(knob(style.metal, (x - side * (third / 2 - 0.06), -0.26, 0.52)))
    for row in range(3):
        z = 0.305 + 0.175 * row
        parts.append(box((third - 0.03, 0.02, 0.16), front, (0, -0.23, z)))
        parts.append(bar_handle(style.metal, (0, -0.255, z), 0.16))
    parts += transform(vase(rng, style), offset=(width * 0.3, 0, 0.77))
    parts += transform(bowl_of_fruit(), offset=(-width * 0.25, 0, 0.77))
    return finished("sideboard", parts, finish.colour, finish.word)


def bookshelf(
    rng: np.random.Generator, style: Style, width: float | None = None, colour: str | None = None
) -> Item:
    """Build a tall open shelf full of books."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, width or rng.uniform(0.8, 1.2)
    height, depth, shelves = rng.uniform(1.75, 2.05), 0.32, 5
    back = (width, 0.015, height)
    parts = [box(back, darker(surface, 0.7), (0, depth / 2 - 0.008, height / 2))]
    for side in (-1, 1):
        wall = (side * (width / 2 - 0.018), 0, height / 2)
        parts.append(box((0.036, depth, height), surface, wall))
    parts.append(box((width - 0.07, 0.02, 0.07), surface, (0, -depth / 2 + 0.02, 0.035)))
    rise = (height - 0.12) / shelves
    for k in range(shelves + 1):
        z = 0.08 + k * rise
        parts.append(box((width - 0.05, depth - 0.01, 0.03), surface, (0, 0, z)))
        if k < shelves:
            books = _shelved_books(rng, style, width - 0.08, depth, rise - 0.03)
            parts += transform(books, offset=(0, 0, z + 0.015))
    parts.append(box((width + 0.02, depth + 0.02, 0.03), surface, (0, 0, height)))
    return finished("bookshelf", parts, finish.colour, finish.word)


def _shelved_books(
    rng: np.random.Generator, style: Style, width: float, depth: float, rise: float
) -> list[Part]:
    """Build books on one shelf, starting at its left wall, and a ball in the remaining space."""
    length, height, left = width * rng.uniform(0.6, 1.0), rise * 0.86, -width / 2
    surface = Material(f"books{rng.integers(4)}")
    spines = quad((left, 0.05 - depth / 2, 0), (length, 0, 0), (0, 0, height), surface, 1.0, True)
    # Books are equally wide on short and long shelves, and every shelf shows other books.
    spines.uvs[:, 0] = spines.uvs[:, 0] * length / 0.9 + rng.random()
    leaves = paint((0.20, 0.16, 0.13))
    block = (length, depth - 0.09, height * 0.7)
    parts = [spines, box(block, leaves, (left + length / 2, 0.02, height * 0.35), faces="XZ")]
    if width - length > 0.2:
        glaze = paint(pick(rng, style.fabrics).rgb)
        parts.append(sphere(0.06, glaze, (width / 2 - 0.09, -0.02, 0.06), sides=10))
    return parts


def tv_stand(rng: np.random.Generator, style: Style, colour: str | None = None) -> Item:
    """Build a low cupboard with a large television."""
    finish = cabinetry(rng, style, colour)
    surface, width = finish.surface, 1.75
    third, front = width / 3, darker(finish.surface, 0.9)
    parts = [box((width, 0.46, 0.44), surface, (0, 0, 0.30), bevel=0.008)]
    for k in (-1, 0, 1):
        parts += slab((third - 0.03, 0.02, 0.38), front, (k * third, -0.23, 0.30))
        parts.append(knob(style.metal, (k * third + 0.20, -0.27, 0.36)))
    parts += feet(width - 0.2, 0.3, 0.09, BLACK)
    parts += [
        box((1.16, 0.05, 0.68), BLACK, (0, 0.05, 0.94)),
        quad((-0.56, 0.022, 0.62), (1.12, 0, 0), (0, 0, 0.64), Material("screen"), 0.7, True),
        box((0.44, 0.22, 0.02), BLACK, (0, 0.05, 0.53)),
        box((0.08, 0.05, 0.08), BLACK, (0, 0.06, 0.57)),
    ]
    return finished("tv stand", parts, finish.colour, finish.word)
