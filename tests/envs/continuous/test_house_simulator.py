import itertools

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.sensors import camera_rays, depth_reading
from clipnav.envs.continuous.settings import R2R_CE, RXR_CE, task_settings
from clipnav.envs.houses.meshes.scene import Scene
from clipnav.envs.panoramas.ray_tracer import RayTracer


def box_tracer(low, high):
    """Ray tracer of a closed box whose walls are checkered."""
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))), np.float32)
    sides = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    faces = [triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))]
    texture = np.indices((8, 8)).sum(axis=0) % 2 * 255
    scene = Scene(
        positions=corners,
        normals=np.zeros_like(corners),
        uvs=corners[:, :2],
        colours=np.ones_like(corners),
        faces=np.array(faces, np.int32),
        face_object=np.zeros(12, np.int32),
        face_texture=np.zeros(12, np.int32),
        textures=(texture[..., None].repeat(3, axis=-1).astype(np.uint8),),
        texture_names=("checks",),
        objects=(),
    )
    return RayTracer(scene)


def draw(monkeypatch, tracer, settings, position, heading, tilt=0.0, sensors=("rgb", "depth")):
    monkeypatch.setattr("clipnav.envs.continuous.house_simulator._tracer", lambda scan: tracer)
    simulator = HouseSimulator(settings)
    pose = np.array([position], float), np.array([heading]), np.array([tilt])
    return simulator.draw(["box"], *pose, sensors)


def test_depth_pixels_equal_the_golden_rooms(continuous_golden, monkeypatch):
    assert continuous_golden["depth"]
    for case in continuous_golden["depth"]:
        x, top, z = case["room"]
        tracer = box_tracer((0, -z, 0), (x, 0, top))
        size, height = (case["height"], case["width"]), case["camera"][1]
        camera = {"hfov": case["hfov"], "depth_size": size, "camera_height": height}
        settings = task_settings("r2r", **camera)
        position = from_habitat(np.array(case["camera"])) - (0, 0, height)
        seen = draw(monkeypatch, tracer, settings, position, -case["yaw"], sensors=("depth",))
        cosines = camera_rays(size, case["hfov"])[:, 1].reshape(size)
        for pixel in case["pixels"]:
            row, column = pixel["row"], pixel["column"]
            planar = seen["depth"][0, row, column]
            assert planar == pytest.approx(pixel["planar"], abs=1e-4)
            assert planar / cosines[row, column] == pytest.approx(pixel["ray"], abs=1e-4)
            for name, preset in (("r2r", R2R_CE), ("rxr", RXR_CE)):
                expected = pixel[f"{name}_normalised"]
                assert depth_reading(planar, preset) == pytest.approx(expected, abs=1e-4)


def test_vertical_field_of_view_of_rxr_is_63_degrees():
    rays = camera_rays(RXR_CE.rgb_size, RXR_CE.hfov).reshape(*RXR_CE.rgb_size, 3)
    focal = RXR_CE.rgb_size[1] / 2 / np.tan(np.radians(79 / 2))
    assert 2 * np.degrees(np.arctan(240 / focal)) == pytest.approx(63.46, abs=0.01)
    assert rays[0, 320, 2] > 0 > rays[479, 320, 2]
    assert rays[240, 0, 0] < 0 < rays[240, 639, 0]


@pytest.mark.parametrize("size", [(224, 224), (48, 64), (256, 256)])
def test_a_picture_does_not_depend_on_what_else_is_observed(monkeypatch, size):
    tracer = box_tracer((0, 0, 0), (6, 5, 3))
    settings = task_settings("r2r", rgb_size=size)
    together = draw(monkeypatch, tracer, settings, (2, 2, 0), 0.4)
    for sensor in ("rgb", "depth"):
        alone = draw(monkeypatch, tracer, settings, (2, 2, 0), 0.4, sensors=(sensor,))
        np.testing.assert_array_equal(together[sensor], alone[sensor])


def test_nothing_hit_reads_zero_and_is_clipped_first():
    metres = np.array([0.0, 0.3, 0.5, 2.75, 7.0], np.float32)
    np.testing.assert_allclose(depth_reading(metres, RXR_CE), [0, 0, 0, 0.5, 1])
    raw = task_settings("rxr", normalize_depth=False)
    np.testing.assert_allclose(depth_reading(metres, raw), [0.5, 0.5, 0.5, 2.75, 5])
    assert depth_reading(metres, RXR_CE).dtype == np.float32


def test_cameras_of_a_batch_equal_single_cameras():
    settings = task_settings("r2r", rgb_size=(24, 24), depth_size=(24, 24))
    simulator = HouseSimulator(settings)
    scans = ["house_32"] * 10
    rng = np.random.default_rng(0)
    positions = np.column_stack([rng.uniform(1, 8, (10, 2)), np.zeros(10)])
    headings, tilts = rng.uniform(0, 6, 10), rng.uniform(-0.5, 0.5, 10)
    batch = simulator.draw(scans, positions, headings, tilts, ("rgb", "depth"))
    for i in range(10):
        part = slice(i, i + 1)
        pose = positions[part], headings[part], tilts[part]
        single = simulator.draw(scans[:1], *pose, ("rgb", "depth"))
        for name, picture in single.items():
            np.testing.assert_allclose(picture[0], batch[name][i], atol=1e-5)
