"""Ray tracing of small scenes with known results."""

import numpy as np
import pytest

from clipnav.envs.houses.meshes.geometry import Material, box, quad
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.models.scene import Scene
from clipnav.envs.panoramas.cameras import direction
from clipnav.envs.panoramas.panorama import render_panorama
from clipnav.envs.panoramas.ray_tracer import _GLASS_SHARE, SKY_RGB, RayTracer, TextureAtlas

PLAIN = np.full((4, 4, 3), 255, np.uint8)
QUARTERS = np.zeros((64, 64, 3), np.uint8)
QUARTERS[:32, :32] = (255, 0, 0)
QUARTERS[:32, 32:] = (0, 255, 0)
QUARTERS[32:, :32] = (0, 0, 255)
TEXTURES = {"plain": PLAIN, "quarters": QUARTERS, "mirror": PLAIN, "glass": PLAIN}


def two_boxes() -> Scene:
    """Build a red cube 3 m north and a green cube 3 m east of the origin, with sides of 2 m."""
    north = box((2, 2, 2), Material("plain", (1, 0, 0)), center=(0, 4, 0))
    east = box((2, 2, 2), Material("plain", (0, 1, 0)), center=(4, 0, 0))
    return scene_of_fixtures([Fixture("crate", 0, (north,)), Fixture("box", 0, (east,))], TEXTURES)


def test_hits_report_colour_distance_and_object():
    hits = RayTracer(two_boxes()).trace(np.zeros(3), direction(np.deg2rad([0, 90, 180]), 0.0))
    assert hits.object_id.tolist() == [0, 1, -1]
    assert hits.distance[:2] == pytest.approx([3, 3], abs=1e-5)
    assert np.isinf(hits.distance[2])
    assert hits.rgb.tolist() == [[255, 0, 0], [0, 255, 0], list(SKY_RGB)]


def test_occlusion_is_symmetric_and_ends_at_the_points():
    tracer = RayTracer(two_boxes())
    a = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]], float)
    b = np.array([[0, 6, 0], [0, 2.9, 0], [0, -6, 0], [0, 3, 0]], float)
    assert tracer.occluded(a, b).tolist() == [True, False, False, False]
    assert tracer.occluded(b, a).tolist() == [True, False, False, False]


def test_images_are_upright_and_not_mirrored():
    wall = quad((-1, 2, -1), (2, 0, 0), (0, 0, 2), Material("quarters"), pictorial=True)
    scene = scene_of_fixtures([Fixture("picture", 0, (wall,))], TEXTURES)
    aims = np.array([[-0.5, 2, 0.5], [0.5, 2, 0.5], [-0.5, 2, -0.5], [0.5, 2, -0.5]])
    rays = aims / np.linalg.norm(aims, axis=1, keepdims=True)
    rgb = RayTracer(scene).trace(np.zeros(3), rays).rgb
    assert rgb.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]]


def test_mirror_reflects_the_scene_behind_the_camera():
    glass = quad((-1, 2, -1), (2, 0, 0), (0, 0, 2), Material("mirror"))
    behind = box((2, 2, 2), Material("plain", (0, 0, 1)), center=(0, -4, 0))
    scene = scene_of_fixtures(
        [Fixture("mirror", 0, (glass,)), Fixture("crate", 0, (behind,))], TEXTURES
    )
    hits = RayTracer(scene).trace(np.zeros(3), direction(np.zeros(1), 0.0))
    assert hits.object_id.tolist() == [0]
    assert hits.distance[0] == pytest.approx(2)
    assert hits.rgb[0, 2] > 200
    assert hits.rgb[0, 0] < 60


def test_glass_is_transparent_but_keeps_its_distance_and_object():
    panes = [quad((-1, y, -1), (2, 0, 0), (0, 0, 2), Material("glass")) for y in (1, 2)]
    behind = box((2, 2, 2), Material("plain", (0, 0, 1)), center=(0, 4, 0))
    fixtures = [Fixture("pane", 0, (pane,)) for pane in panes]
    scene = scene_of_fixtures([*fixtures, Fixture("crate", 0, (behind,))], TEXTURES)
    hits = RayTracer(scene).trace(np.zeros(3), direction(np.zeros(1), 0.0))
    assert hits.object_id.tolist() == [0]
    assert hits.distance[0] == pytest.approx(1)
    through = (1 - _GLASS_SHARE) ** 2
    assert hits.rgb[0].tolist() == pytest.approx([255 * (1 - through)] * 2 + [255], abs=2)


def test_vertex_colours_are_interpolated():
    wall = quad((-1, 2, -1), (2, 0, 0), (0, 0, 2), Material("plain"), cell=5)
    scene = scene_of_fixtures([Fixture("wall", 0, (wall,))], TEXTURES)
    scene.colours[:, 0] = (scene.positions[:, 0] + 1) / 2
    aim = np.array([[0.5, 2, 0.3]])
    rgb = RayTracer(scene).trace(np.zeros(3), aim / np.linalg.norm(aim)).rgb
    assert rgb[0, 0] == pytest.approx(255 * 0.75, abs=1)


def test_far_texture_is_averaged():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    atlas = TextureAtlas((stripes,))
    uv = np.random.default_rng(0).random((2, 50)).astype(np.float32)
    zeros = np.zeros(50, int)
    near = atlas.sample(zeros, uv, np.full(50, 1.0))
    far = atlas.sample(zeros, uv, np.full(50, 40.0))
    assert near.std() > 20
    assert np.abs(far - 100).max() < 2


def test_texture_of_odd_size_is_refused():
    with pytest.raises(ValueError, match="power of two"):
        TextureAtlas((np.zeros((3, 4, 3), np.uint8),))


def test_rows_of_a_panorama_equal_those_of_the_whole():
    tracer = RayTracer(two_boxes())
    whole = render_panorama(tracer, np.zeros(3), width=128)
    rows = slice(30, 45)
    part = render_panorama(tracer, np.zeros(3), 128, rows)
    np.testing.assert_array_equal(part.rgb[rows], whole.rgb[rows])
    np.testing.assert_array_equal(part.depth[rows], whole.depth[rows])
    np.testing.assert_array_equal(part.object_id[rows], whole.object_id[rows])
    assert (whole.object_id[29:31, 64] == 0).all()  # the first row cuts through a box
    assert not part.rgb[:29].any()
    assert np.isinf(part.depth[46:]).all()
