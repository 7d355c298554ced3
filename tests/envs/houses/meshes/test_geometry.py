import numpy as np
import pytest

from clipnav.envs.houses.meshes import geometry
from clipnav.envs.houses.meshes.geometry import Material

WOOD = Material("wood", (0.5, 0.3, 0.2))


def signed_volume(part):
    a, b, c = np.moveaxis(part.positions[part.faces], 1, 0)
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def agreement(part):
    """Return the minimum cosine between a face normal and the mean normal of its corners."""
    a, b, c = np.moveaxis(part.positions[part.faces], 1, 0)
    face_normals = np.cross(b - a, c - a)
    face_normals /= np.linalg.norm(face_normals, axis=1, keepdims=True)
    return np.einsum("ij,ij->i", face_normals, part.normals[part.faces].mean(1)).min()


CLOSED = {
    "box": (geometry.box((1, 2, 3), WOOD), 6.0),
    "beveled box": (geometry.box((1, 2, 3), WOOD, bevel=0.01, segments=3), 6.0),
    "cylinder": (geometry.cylinder(0.5, 2, WOOD, sides=64), np.pi / 2),
    "cone": (geometry.cylinder(0.5, 3, WOOD, top_radius=0.0, sides=64), np.pi / 4),
    "sphere": (geometry.sphere(1, WOOD, sides=64), 4 / 3 * np.pi),
    "ellipsoid": (geometry.sphere(1, WOOD, squash=(1, 0.5, 2), sides=64), 4 / 3 * np.pi),
    "tube": (geometry.tube([(0, 0, 0), (1, 0, 0), (2, 0, 0)], 0.1, WOOD, sides=64), np.pi / 50),
    "frustum": (geometry.frustum((2, 2), (1, 1), 3, WOOD), 7.0),
    "prism": (geometry.prism([(0, 0), (2, 0), (0, 1)], 3, WOOD), 3.0),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_primitive_encloses_its_volume_with_outward_faces(name):
    part, volume = CLOSED[name]
    assert signed_volume(part) == pytest.approx(volume, rel=0.01)
    assert agreement(part) > 0.5
    assert np.allclose(np.linalg.norm(part.normals, axis=1), 1)


def test_plain_box_takes_twelve_triangles_and_finer_cells_more():
    assert len(geometry.box((0.4, 0.4, 0.4), WOOD).faces) == 12
    assert len(geometry.box((0.4, 0.4, 0.4), WOOD, cell=0.2).faces) == 48


def test_box_has_only_the_requested_sides():
    lid = geometry.box((1, 1, 1), WOOD, faces="Z", cell=1)
    assert len(lid.faces) == 2
    assert np.allclose(lid.normals, (0, 0, 1))


def test_grain_of_a_box_runs_along_its_longest_side():
    post = geometry.box((0.1, 0.1, 2), WOOD, faces="y", cell=9)
    assert np.ptp(post.uvs[:, 0]) == pytest.approx(2)
    assert np.ptp(post.uvs[:, 1]) == pytest.approx(0.1)


def test_puff_bulges_the_middle_and_keeps_normals_in_agreement():
    flat = geometry.box((1, 1, 0.2), WOOD, bevel=0.05, cell=0.1)
    cushion = geometry.box((1, 1, 0.2), WOOD, bevel=0.05, cell=0.1, puff=0.1)
    assert np.ptp(cushion.positions[:, 2]) == pytest.approx(
        np.ptp(flat.positions[:, 2]) + 0.2, abs=0.01
    )
    assert agreement(cushion) > 0.5


def test_lathe_shades_a_sharp_bend_as_an_edge_and_a_gentle_one_smoothly():
    can = geometry.cylinder(1, 1, WOOD)
    assert set(np.round(np.abs(can.normals[:, 2]), 6)) == {0.0, 1.0}
    ball = geometry.sphere(1, WOOD, sides=32)
    assert np.einsum("ij,ij->i", ball.normals, ball.positions).min() > 0.98


def test_pictorial_quad_shows_the_picture_once_and_upright():
    picture = geometry.quad((0, 0, 0), (2, 0, 0), (0, 0, 1), Material("painting0"), pictorial=True)
    top_left = np.linalg.norm(picture.positions - (0, 0, 1), axis=1).argmin()
    assert picture.uvs[top_left] == pytest.approx((0, 0))
    assert picture.uvs.min() == 0
    assert picture.uvs.max() == 1
    assert np.allclose(picture.normals, (0, -1, 0))


def test_sheet_has_a_reverse_side_that_faces_the_other_way():
    x, y = np.meshgrid(np.linspace(0, 1, 4), np.linspace(0, 1, 5), indexing="ij")
    points = np.stack([x, y, 0.1 * x * y], -1)
    both = geometry.sheet(points, WOOD, points[..., :2], thickness=0.01)
    assert agreement(both) > 0.9
    assert both.normals[:20, 2].min() > 0.9
    assert both.normals[20:, 2].max() < -0.9
    assert len(geometry.sheet(points, WOOD, points[..., :2]).faces) * 2 == len(both.faces)


@pytest.mark.parametrize(("axis", "image"), [("z", (0, 1, 0)), ("y", (0, 0, -1)), ("x", (1, 0, 0))])
def test_transform_turns_counter_clockwise_about_the_axis(axis, image):
    part = geometry.box((1, 1, 1), WOOD, center=(1, 0, 0))
    turned = geometry.transform([part], np.pi / 2, (0, 0, 5), axis)
    middle = geometry.bounds(turned).mean(0)
    assert middle == pytest.approx(np.add(image, (0, 0, 5)))
    assert agreement(turned[0]) > 0.99


def test_stretch_keeps_normals_perpendicular():
    ball = geometry.stretch([geometry.sphere(1, WOOD, sides=48)], (3, 1, 0.5))[0]
    assert agreement(ball) > 0.9


def test_bounds_cover_all_parts():
    parts = [geometry.box((1, 1, 1), WOOD), geometry.box((1, 1, 1), WOOD, center=(3, 0, 1))]
    assert geometry.bounds(parts) == pytest.approx(np.array([(-0.5, -0.5, -0.5), (3.5, 0.5, 1.5)]))
