"""Baked light: comparison with closed forms, and plausibility."""

import numpy as np
import pytest

from clipnav.envs.houses.lighting.baking import Surfels, bake
from clipnav.envs.houses.lighting.lights import Light
from clipnav.envs.houses.meshes.geometry import Material, box, quad
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.models.scene import Scene

WHITE = np.full((4, 4, 3), 255, np.uint8)
TEXTURES = {"plain": WHITE, "outside": WHITE, "lampshade": WHITE}
PLAIN = Material("plain")


def floor(size: float = 4.0, cell: float = 0.5) -> Fixture:
    half = size / 2
    part = quad((-half, -half, 0), (size, 0, 0), (0, size, 0), PLAIN, cell=cell)
    return Fixture("floor", 0, (part,))


def closed_room(albedo: float) -> Scene:
    """Build a cube of 2 m with inward faces of one linear albedo."""
    display = albedo ** (1 / 2.2)
    cube = box((2, 2, 2), Material("plain", (display,) * 3), cell=0.25)
    inside = Fixture("wall", 0, (cube,))
    scene = scene_of_fixtures([inside], TEXTURES)
    scene.normals[:] = -scene.normals
    scene.faces[:] = scene.faces[:, ::-1].copy()
    return scene


def lamp(height: float, power: float = 1.0) -> Light:
    return Light(np.array([[0.0, 0.0, height]]), np.array([[0.0, 0.0, -1.0]]), np.full(3, power))


def surfels_of(scene: Scene) -> Surfels:
    return Surfels(scene, np.ones(len(scene.faces), bool))


def light_at(scene: Scene, values: np.ndarray, surfels: Surfels, point: tuple) -> float:
    nearest = np.abs(scene.positions - np.array(point)).sum(axis=1).argmin()
    return float(values[surfels.of_vertex[nearest], 0])


def test_direct_light_follows_lamberts_law():
    scene = scene_of_fixtures([floor()], TEXTURES)
    surfels = surfels_of(scene)
    received = surfels.receive(lamp(2.0, power=np.pi))
    # power / pi * cos * cos / r^2 under a lamp that faces the floor
    assert light_at(scene, received, surfels, (0, 0, 0)) == pytest.approx(1 / 4, rel=0.01)
    slant = 4 / (4 + 1) / (4 + 1)
    assert light_at(scene, received, surfels, (1, 0, 0)) == pytest.approx(slant, rel=0.01)


def test_objects_cast_shadows():
    crate = Fixture("box", 0, (box((0.8, 0.8, 0.2), PLAIN, center=(0, 0, 1)),))
    scene = scene_of_fixtures([floor(), crate], TEXTURES)
    surfels = surfels_of(scene)
    received = surfels.receive(lamp(2.0))
    assert light_at(scene, received, surfels, (0, 0, 0)) == 0
    assert light_at(scene, received, surfels, (2, 2, 0)) > 0


def test_light_bounces_as_in_an_integrating_cube():
    """In a closed room of albedo a, the total light is 1 / (1 - a) times the direct light."""
    scene = closed_room(0.5)
    surfels = surfels_of(scene)
    around = surfels.gather(np.random.default_rng(0), 64)
    assert not around.buried.any()
    assert (around.hit >= 0).all()
    first = np.ones((len(surfels), 3))
    light = first
    for _ in range(12):
        light = first + surfels.mean_along(0.5 * surfels.face_mean(light), around.hit)
    assert light == pytest.approx(np.full_like(light, 2.0), rel=1e-3)


def test_vertices_inside_solids_take_the_light_around_them():
    crate = Fixture("box", 0, (box((1.2, 1.2, 0.5), PLAIN, center=(0, 0, 0.2)),))
    scene = scene_of_fixtures([floor(cell=0.4), crate], TEXTURES)
    surfels = surfels_of(scene)
    buried = surfels.gather(np.random.default_rng(0), 64).buried
    smooth = surfels.smooth(np.where(buried, 0.0, 1.0)[:, None] * np.ones(3), buried, 2)
    nearest = surfels.of_vertex[np.abs(scene.positions).sum(axis=1).argmin()]
    assert buried[nearest]
    assert smooth[nearest, 0] == pytest.approx(1.0, abs=0.01)


def test_lamps_and_the_garden_keep_their_own_colour():
    shade = Fixture("lamp", 0, (box((0.2, 0.2, 0.2), Material("lampshade"), center=(0, 0, 2)),))
    garden = box((40, 40, 40), Material("outside", (0.5, 1, 0.25)))
    scene = scene_of_fixtures([floor(), shade, Fixture("outside", -1, (garden,))], TEXTURES)
    lit = bake(scene, [lamp(1.9)], seed=0, rays=8)
    for index, colour in ((1, (1, 1, 1)), (2, (128 / 255, 1, 64 / 255))):
        vertices = np.unique(lit.faces[lit.face_object == index])
        assert lit.colours[vertices] == pytest.approx(np.tile(colour, (len(vertices), 1)), abs=0.01)
    ground = np.unique(lit.faces[lit.face_object == 0])
    assert 0.02 < lit.colours[ground].mean() < 0.98


def test_bake_depends_on_the_seed_alone():
    scene = scene_of_fixtures([floor()], TEXTURES)
    once, again = (bake(scene, [lamp(2.0)], seed=3, rays=16) for _ in range(2))
    assert np.array_equal(once.colours, again.colours)
    assert np.array_equal(
        np.rint(once.colours * 255).astype(np.uint8) / np.float32(255), once.colours
    )
