"""All textures of one house by name."""

from collections.abc import Callable

import numpy as np

from clipnav.envs.houses.materials import pictures, surfaces
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.plan.elements import WALL_HEIGHT

_TEXTURE_TAG = 13
_BOOKS_COUNT = 4

SURFACES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "wood": surfaces.wood,
    "planks": surfaces.planks,
    "parquet": surfaces.parquet,
    "tiles": surfaces.tiles,
    "wall_tiles": lambda rng: surfaces.tiles(rng, 256, 4, 0.03, joint=2),
    "checker": surfaces.checker,
    "carpet": surfaces.carpet,
    "fabric": surfaces.fabric,
    "leather": surfaces.leather,
    "plaster": surfaces.plaster,
    "stripes": surfaces.stripes,
    "damask": surfaces.damask,
    "panelling": surfaces.panelling,
    "two_tone": surfaces.two_tone,
    "half_tiles": surfaces.half_tiles,
    "brick": surfaces.brick,
    "marble": surfaces.marble,
    "metal": surfaces.metal,
    "plain": surfaces.plain,
    "lampshade": surfaces.plain,
    "wicker": surfaces.wicker,
    "soil": surfaces.soil,
}
TEXTURE_SCALE: dict[str, float] = {
    "wood": 1.0,
    "planks": 1 / 2.4,
    "parquet": 1 / 1.6,
    "tiles": 1 / 1.6,
    "wall_tiles": 1 / 0.6,
    "checker": 1 / 0.7,
    "carpet": 2.0,
    "fabric": 4.0,
    "leather": 3.0,
    "plaster": 1.0,
    "stripes": 1 / 0.8,
    "damask": 1 / 0.36,
    "panelling": 1 / WALL_HEIGHT,
    "two_tone": 1 / WALL_HEIGHT,
    "half_tiles": 1 / WALL_HEIGHT,
    "brick": 1 / 0.6,
    "marble": 0.8,
    "metal": 2.0,
    "plain": 1.0,
    "lampshade": 1.0,
    "wicker": 1 / 0.25,
    "soil": 5.0,
}
EMISSIVE_TEXTURES = frozenset({"lampshade", "fire"})


def make_textures(style_seed: int) -> dict[str, np.ndarray]:
    """Paint the textures of a house.

    Returns:
        Texture by name, `(H, W, 3)` uint8 sRGB with H and W powers of two. Textures in
        `TEXTURE_SCALE` tile that many times per metre of texture coordinate; the others are
        pictures that cover 0..1 once, with row 0 at v = 0.
    """
    rng = np.random.default_rng([style_seed, _TEXTURE_TAG])
    images = {name: paint(rng) for name, paint in SURFACES.items()}
    images |= {f"books{k}": pictures.books(rng) for k in range(_BOOKS_COUNT)}
    style = make_style(style_seed)
    for k, colour in enumerate(style.rugs):
        images[f"rug{k}"] = pictures.rug(rng, colour.rgb, k)
    for k, colour in enumerate(style.paintings):
        images[f"painting{k}"] = pictures.painting(rng, colour.rgb, k)
    images |= {name: paint(rng) for name, paint in pictures.PICTURES.items()}
    images["glass"] = surfaces.plain(rng)
    return {
        name: (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8) for name, image in images.items()
    }
