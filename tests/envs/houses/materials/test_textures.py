import numpy as np
import pytest

from clipnav.envs.houses.materials.colours import SHADES, colour_name, pick_shade
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import EMISSIVE_TEXTURES, TEXTURE_SCALE, make_textures

TINTED = ("fabric", "leather", "plain", "carpet", "metal", "plaster")


@pytest.fixture(scope="module")
def textures():
    return make_textures(3)


def test_textures_are_pictures_with_sides_of_powers_of_two(textures):
    for name, image in textures.items():
        assert image.dtype == np.uint8, name
        assert image.ndim == 3, name
        assert image.shape[2] == 3, name
        for side in image.shape[:2]:
            assert side & (side - 1) == 0, name


def test_tiling_and_glowing_textures_exist(textures):
    assert set(TEXTURE_SCALE) | EMISSIVE_TEXTURES <= set(textures)
    assert textures["outside"].shape[1] == 4 * textures["outside"].shape[0]


@pytest.mark.parametrize("name", ["wood", "fabric", "carpet", "plaster", "marble", "stripes"])
def test_tiling_textures_have_no_seam(textures, name):
    image = textures[name].astype(float)
    inside = np.abs(np.diff(image, axis=1)).mean(axis=(0, 2))
    seam = np.abs(image[:, 0] - image[:, -1]).mean()
    assert seam <= inside.max() * 1.5


def test_same_seed_paints_the_same_and_another_seed_differs(textures):
    again, other = make_textures(3), make_textures(4)
    assert all(np.array_equal(image, again[name]) for name, image in textures.items())
    assert not np.array_equal(textures["rug0"], other["rug0"])


@pytest.mark.parametrize("texture", TINTED)
def test_a_tint_keeps_its_name_on_cloth_paint_and_metal(textures, texture):
    white = textures[texture].reshape(-1, 3).mean(0) / 255
    for name, shades in SHADES.items():
        for rgb in shades:
            assert colour_name(white * rgb) == name, rgb


@pytest.mark.parametrize("kind", ["rugs", "paintings"])
def test_rugs_and_paintings_have_their_dominant_colour(kind):
    for seed in range(3):
        images, style = make_textures(seed), make_style(seed)
        for k, colour in enumerate(getattr(style, kind)):
            pixels = images[f"{kind[:-1]}{k}"][::16, ::16].reshape(-1, 3) / 255
            names = [colour_name(pixel) for pixel in pixels]
            assert max(set(names), key=names.count) == colour.name, (seed, k)


def test_styles_are_reproducible_and_differ():
    assert make_style(7) == make_style(7)
    assert len({make_style(seed).fabrics for seed in range(20)}) == 20


def test_palette_has_bright_and_neutral_colours_with_correct_names():
    for seed in range(20):
        style = make_style(seed)
        names = [colour.name for colour in style.fabrics]
        assert len(set(names)) == 6
        for colour in (*style.fabrics, *style.leathers, *style.woods, *style.paints, *style.rugs):
            assert colour_name(colour.rgb) == colour.name


def test_materials_of_rooms_exist_and_stay_the_same(textures):
    style = make_style(3)
    for kind in ("kitchen", "bathroom", "living room", "bedroom", "gym", "hall"):
        for material in (style.floor(kind), style.wall(kind)):
            assert material.texture in TEXTURE_SCALE
        assert style.floor(kind) == style.floor(kind)
    assert style.trim.texture in textures


def test_unknown_colour_raises_with_the_known_ones():
    with pytest.raises(ValueError, match=r"mauve.*use one of red"):
        pick_shade("mauve", np.random.default_rng(0))
