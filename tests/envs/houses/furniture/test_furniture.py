from collections import Counter

import numpy as np
import pytest

from clipnav.envs.houses.furniture import CATEGORIES, make_item
from clipnav.envs.houses.materials.colours import COLOUR_NAMES, colour_name
from clipnav.envs.houses.materials.style import make_style
from clipnav.envs.houses.materials.textures import TEXTURE_SCALE, make_textures
from clipnav.envs.houses.meshes.geometry import bounds

STYLE_SEEDS = (0, 1)


@pytest.fixture(scope="module")
def textures():
    return {seed: make_textures(seed) for seed in STYLE_SEEDS}


def make(category, seed=0, **options):
    rng = np.random.default_rng([seed, *category.encode()])
    return make_item(category, rng, make_style(seed), **options)


def triangles_of(item):
    """Return positions, texture coordinates in repeats, faces and the part of each triangle."""
    starts = np.cumsum([0] + [len(part.positions) for part in item.parts[:-1]])
    scales = [TEXTURE_SCALE.get(part.material.texture, 1.0) for part in item.parts]
    positions = np.concatenate([part.positions for part in item.parts])
    uvs = np.concatenate([p.uvs * scale for p, scale in zip(item.parts, scales, strict=True)])
    faces = np.concatenate([p.faces + start for p, start in zip(item.parts, starts, strict=True)])
    owner = np.repeat(np.arange(len(item.parts)), [len(part.faces) for part in item.parts])
    return positions, uvs, faces, owner


def pixels_of(material, uv, textures):
    """Return colours 0..1 of a material at texture coordinates, the mean for tiling textures."""
    image = textures[material.texture]
    if material.texture in TEXTURE_SCALE:
        picked = np.tile(image.reshape(-1, 3).mean(0), (len(uv), 1))
    else:
        height, width = image.shape[:2]
        rows, columns = (uv[:, 1] % 1 * height).astype(int), (uv[:, 0] % 1 * width).astype(int)
        picked = image[rows, columns]
    return picked / 255 * material.tint


def visible_colours(item, textures, resolution=24):
    """Count the colour names of the surfaces that are visible from the front of an item."""
    import embreex.rtcore_scene as embree
    from embreex.mesh_construction import TriangleMesh

    positions, uvs, faces, owner = triangles_of(item)
    scene = embree.EmbreeScene()
    TriangleMesh(scene, positions[faces].astype(np.float32))
    lower, upper = bounds(item.parts)
    middle, reach = (lower + upper) / 2, np.linalg.norm(upper - lower) / 2
    grid = np.linspace(-reach, reach, resolution)
    seen = []
    for turn in (-0.7, 0.0, 0.7):
        forward = np.array([-np.sin(turn) * 0.93, np.cos(turn) * 0.93, -0.37])
        right = np.cross(forward, (0, 0, 1)) / 0.93
        up = np.cross(right, forward)
        plane = grid[:, None, None] * right + grid[None, :, None] * up
        origins = (middle - 3 * reach * forward + plane).reshape(-1, 3).astype(np.float32)
        rays = np.tile(forward.astype(np.float32), (len(origins), 1))
        hits = scene.run(origins, rays, query="INTERSECT", output=True)
        face, u, v = (hits[key][hits["primID"] >= 0] for key in ("primID", "u", "v"))
        a, b, c = np.moveaxis(uvs[faces[face]], 1, 0)
        at = a + u[:, None] * (b - a) + v[:, None] * (c - a)
        for part in np.unique(owner[face]):
            own = owner[face] == part
            seen.append(pixels_of(item.parts[part].material, at[own], textures))
    shades, counts = np.unique(np.round(np.concatenate(seen) * 24), axis=0, return_counts=True)
    names = Counter()
    for shade, count in zip(shades / 24, counts, strict=True):
        names[colour_name(shade)] += int(count)
    return names


@pytest.mark.parametrize("category", CATEGORIES)
def test_meshes_are_finite_and_wound_as_their_normals(category):
    for seed in STYLE_SEEDS:
        for part in make(category, seed).parts:
            assert np.isfinite(part.positions).all()
            assert part.faces.min() >= 0
            assert part.faces.max() < len(part.positions)
            assert np.allclose(np.linalg.norm(part.normals, axis=1), 1, atol=1e-6)
            a, b, c = np.moveaxis(part.positions[part.faces], 1, 0)
            facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), part.normals[part.faces].sum(1))
            assert facing.min() > 0, part.material


@pytest.mark.parametrize("category", CATEGORIES)
def test_size_and_origin_fit_the_parts(category):
    item = make(category)
    lower, upper = bounds(item.parts)
    assert item.size == pytest.approx(tuple(upper - lower))
    middle = (lower + upper) / 2
    assert middle[0] == pytest.approx(0, abs=1e-9)
    if item.mount == "wall":
        assert (upper[1], middle[2]) == pytest.approx((0, 0), abs=1e-9)
    else:
        edge = upper[2] if item.mount == "ceiling" else lower[2]
        assert (middle[1], edge) == pytest.approx((0, 0), abs=1e-9)
    assert max(item.size) < 2.6


@pytest.mark.parametrize("category", CATEGORIES)
def test_named_colour_is_dominant(category, textures):
    for seed in STYLE_SEEDS:
        item = make(category, seed)
        seen = visible_colours(item, textures[seed])
        assert item.colour in COLOUR_NAMES
        if category == "books" and item.colour != "white":
            del seen["white"]  # the pages do not name the colour of a book
        assert seen.most_common(1)[0][0] == item.colour, seen


def test_same_generator_state_makes_the_same_item():
    for category in CATEGORIES:
        first, second = make(category, 5), make(category, 5)
        for part, other in zip(first.parts, second.parts, strict=True):
            assert np.array_equal(part.positions, other.positions)
            assert part.material == other.material


def test_every_texture_of_an_item_exists(textures):
    for category in CATEGORIES:
        used = {part.material.texture for part in make(category, 1).parts}
        assert used <= set(textures[1])


@pytest.mark.parametrize("category", ["sofa", "bed", "bookshelf", "door", "rug", "curtain"])
def test_main_objects_vary_in_colour_within_and_between_houses(category):
    between = {make(category, seed).colour for seed in range(12)}
    style = make_style(0)
    within = {make_item(category, np.random.default_rng(k), style).colour for k in range(12)}
    assert len(between) >= 5
    assert len(within) >= 3


@pytest.mark.parametrize("category", ["sofa", "armchair", "chair", "wardrobe", "door", "desk"])
@pytest.mark.parametrize("colour", ["red", "white", "green"])
def test_given_colour_is_used(category, colour):
    assert make(category, 3, colour=colour).colour == colour


def test_options_shape_the_item():
    assert make("bed", double=False).size[0] < 1.1 < make("bed", double=True).size[0]
    assert make("sofa", seats=2).size[0] < make("sofa", seats=3).size[0]
    width, _, height = make("door", width=0.8, height=2.0).size
    assert (width, height) == pytest.approx((0.8, 2.0), abs=0.02)
    width, _, height = make("curtain", width=1.6, height=2.2).size
    assert width == pytest.approx(1.6 + 0.5, abs=0.05)
    assert height == pytest.approx(2.2, abs=0.05)


def test_a_furnished_house_stays_in_the_triangle_budget():
    triangles = [sum(len(part.faces) for part in make(c).parts) for c in CATEGORIES]
    assert np.mean(triangles) < 1000
    assert max(triangles) < 3000


def test_unknown_names_raise_with_the_known_ones():
    with pytest.raises(ValueError, match=r"spaceship.*choose from bed"):
        make_item("spaceship", np.random.default_rng(0), make_style(0))
    with pytest.raises(ValueError, match=r"mauve.*use one of red"):
        make("sofa", colour="mauve")
    with pytest.raises(TypeError, match="wings"):
        make("sofa", wings=2)
