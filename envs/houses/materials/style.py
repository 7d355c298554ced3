"""The style of one house: a coordinated palette and the materials of its rooms."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from clipnav.envs.houses.materials.colours import BRIGHT_NAMES, RGB, Colour, mute, pick_shade
from clipnav.envs.houses.meshes.geometry import Material

T = TypeVar("T")

_STYLE_TAG = 11
_ROOM_TAG = 12

_WOODS = (
    Colour("brown", (0.56, 0.35, 0.20)),
    Colour("brown", (0.66, 0.45, 0.27)),
    Colour("brown", (0.40, 0.24, 0.14)),
    Colour("beige", (0.86, 0.73, 0.54)),
    Colour("black", (0.12, 0.10, 0.10)),
    Colour("white", (0.94, 0.93, 0.91)),
)
_LEATHERS = ("brown", "black", "white", "red", "brown")
_METALS: tuple[RGB, ...] = ((0.82, 0.83, 0.86), (0.78, 0.61, 0.30), (0.14, 0.14, 0.15))
_WALL_TINTS: tuple[RGB, ...] = (
    (0.94, 0.92, 0.86),
    (0.95, 0.91, 0.80),
    (0.83, 0.88, 0.91),
    (0.86, 0.89, 0.82),
    (0.94, 0.88, 0.84),
    (0.90, 0.88, 0.92),
    (0.92, 0.92, 0.91),
    (0.72, 0.79, 0.75),
    (0.88, 0.84, 0.77),
    (0.70, 0.76, 0.82),
    (0.96, 0.95, 0.93),
)
_FLOOR_WOODS: tuple[RGB, ...] = (
    (0.82, 0.66, 0.47),
    (0.62, 0.44, 0.29),
    (0.45, 0.30, 0.20),
    (0.87, 0.79, 0.66),
    (0.60, 0.55, 0.49),
)
_CARPETS: tuple[RGB, ...] = (
    (0.74, 0.68, 0.58),
    (0.45, 0.55, 0.66),
    (0.55, 0.60, 0.50),
    (0.62, 0.42, 0.42),
    (0.58, 0.58, 0.60),
)
_TILED_ROOMS = frozenset({"bathroom", "kitchen", "laundry room"})
_WALLS = (
    "plaster",
    "plaster",
    "plaster",
    "panelling",
    "panelling",
    "two_tone",
    "stripes",
    "damask",
)
_SOFT_ROOMS = frozenset({"bedroom", "kid's bedroom", "closet", "music room"})


@dataclass(frozen=True)
class Style:
    """Colours and materials of one house.

    Attributes:
        seed: Random seed of the style.
        fabrics: Colours of upholstery, bedding and curtains: two bright, then four natural.
        leathers: Colours of leather seats.
        woods: Tones of wood, the main one first.
        paints: Colours of painted furniture and inner doors.
        rugs: Dominant colour of the textures rug0, rug1, ...
        paintings: Dominant colour of the textures painting0, painting1, ...
        kitchen: Colour of the fronts in the kitchen.
        counter_top: Material of worktops.
        metal: Material of handles, lamps and rods.
        trim: Material of skirting, window and door frames.
        ceiling: Material of ceilings.
        lamp: Shape of the ceiling lights: "pendant", "globe", "bowl" or "chandelier".
    """

    seed: int
    fabrics: tuple[Colour, ...]
    leathers: tuple[Colour, ...]
    woods: tuple[Colour, ...]
    paints: tuple[Colour, ...]
    rugs: tuple[Colour, ...]
    paintings: tuple[Colour, ...]
    kitchen: Colour
    counter_top: Material
    metal: Material
    trim: Material
    ceiling: Material
    lamp: str

    def floor(self, room_kind: str) -> Material:
        """Return the floor material of a kind of room; it is the same for all rooms of the kind."""
        rng = self._room_rng(room_kind, 0)
        if room_kind in _TILED_ROOMS:
            if rng.random() < 0.35:
                return Material("checker")
            return Material(
                "tiles", pick(rng, ((1.0, 1.0, 1.0), (0.80, 0.76, 0.70), (0.7, 0.76, 0.8)))
            )
        if room_kind == "gym":
            return Material("carpet", (0.30, 0.31, 0.34))
        if room_kind in _SOFT_ROOMS and rng.random() < 0.6:
            return Material("carpet", pick(rng, _CARPETS))
        # All other rooms of a house have the same wooden floor.
        house = self._room_rng("wooden floors", 0)
        return Material(pick(house, ("planks", "parquet")), pick(house, _FLOOR_WOODS))

    def wall(self, room_kind: str) -> Material:
        """Return the wall material of a kind of room; it is the same for all rooms of the kind."""
        rng = self._room_rng(room_kind, 1)
        tint = pick(rng, _WALL_TINTS)
        if room_kind == "bathroom":
            return Material(pick(rng, ("wall_tiles", "half_tiles", "half_tiles")), tint)
        if room_kind in _TILED_ROOMS:
            return Material(pick(rng, ("plaster", "half_tiles")), tint)
        return Material(pick(rng, _WALLS), tint)

    def _room_rng(self, room_kind: str, use: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, _ROOM_TAG, use, zlib.crc32(room_kind.encode())])


def make_style(style_seed: int) -> Style:
    """Draw the style of a house.

    Two bright and four natural colours recur on all objects; the saturation of the bright ones is
    the same in the whole house.
    """
    rng = np.random.default_rng([style_seed, _STYLE_TAG])
    softness = rng.uniform(0.1, 0.4)
    bright = [mute(pick_shade(name, rng), softness) for name in rng.permutation(BRIGHT_NAMES)[:2]]
    natural_names = ("beige", "grey", "white", pick(rng, ("brown", "black")))
    natural = [pick_shade(name, rng) for name in natural_names]
    wood_order = rng.permutation(len(_WOODS))
    paints = [bright[0], *(pick_shade(name, rng) for name in ("beige", "grey", "white"))]
    rug_names = rng.permutation([colour.name for colour in (*bright, *natural)])
    painting_names = [*rng.permutation(BRIGHT_NAMES), "white"]
    white = Colour("white", (0.94, 0.94, 0.92))
    kitchen = [
        white,
        white,
        pick_shade("grey", rng),
        _WOODS[0],
        pick_shade("beige", rng),
        bright[1],
    ]
    metal = Material("metal", pick(rng, _METALS))
    stones = ((1.0, 1.0, 1.0), (0.35, 0.35, 0.37), (0.80, 0.72, 0.62))
    return Style(
        seed=style_seed,
        fabrics=(*bright, *natural),
        leathers=tuple(pick_shade(name, rng) for name in rng.permutation(_LEATHERS)[:2]),
        woods=tuple(_WOODS[k] for k in wood_order[:3]),
        paints=tuple(paints),
        rugs=tuple(mute(pick_shade(name, rng), softness) for name in rug_names),
        paintings=tuple(mute(pick_shade(name, rng), softness) for name in painting_names),
        kitchen=pick(rng, kitchen),
        counter_top=Material("marble", pick(rng, stones)),
        metal=metal,
        trim=Material("plain", pick(rng, ((0.96, 0.95, 0.93), (0.93, 0.91, 0.86)))),
        ceiling=Material("plain", (0.97, 0.97, 0.96)),
        lamp=pick(rng, ("pendant", "globe", "bowl", "chandelier")),
    )


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Draw one of several equally likely values."""
    return choices[int(rng.integers(len(choices)))]
