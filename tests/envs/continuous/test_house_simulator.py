"""Cameras and other sensors, and which simulators an environment accepts."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from clipnav.envs.continuous.coordinates import from_habitat
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.habitat_simulator import HabitatSimulator
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.sensors import camera_rays, depth_reading
from clipnav.envs.continuous.settings import FORWARD, LEFT, R2R_CE, RIGHT, RXR_CE, task_settings
from clipnav.envs.continuous.simulator import check_simulator, compare_simulators
from clipnav.envs.models.scene import Scene
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
    scans = ["house_26"] * 10
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


SIMULATORS = {
    "houses": HouseSimulator,
    "habitat": lambda settings: HabitatSimulator(settings, lambda scan: None, server=object()),
}


@pytest.mark.parametrize("backend", SIMULATORS)
def test_a_simulator_with_another_body_is_refused(backend):
    blind = task_settings("rxr", observe=())
    with pytest.raises(ValueError, match="agent_radius") as raised:
        check_simulator(SIMULATORS[backend](R2R_CE), blind)
    assert str(raised.value) == (
        "agent_radius is 0.1 in the simulator and 0.18 in the environment, agent_height is 1.5 in "
        "the simulator and 0.88 in the environment; pass the same settings to both"
    )
    check_simulator(SIMULATORS[backend](RXR_CE), blind)


@pytest.mark.parametrize(
    ("name", "value"),
    [("camera_height", 1.0), ("hfov", 60.0), ("rgb_size", (8, 8)), ("depth_size", (8, 8))],
)
@pytest.mark.parametrize(
    "uses",
    [
        {"observe": ("rgb",)},
        {"observe": ("clip_panorama", "heading")},
        {"observe": (), "render_mode": "rgb_array"},
    ],
)
def test_a_simulator_with_another_camera_is_refused_if_a_picture_is_drawn(name, value, uses):
    simulator = HouseSimulator(task_settings("r2r", **{name: value}))
    for unseen in ((), ("globalgps", "heading")):
        check_simulator(simulator, task_settings("r2r", observe=unseen))
    with pytest.raises(ValueError, match=f"^{name} is .* in the simulator and .*; pass the same"):
        check_simulator(simulator, task_settings("r2r", **uses))


def rotated(vector, rotation):
    """Return a vector (3,) rotated by a quaternion [x, y, z, w]."""
    axis, w = rotation[:3], rotation[3]
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * vector)


def test_pose_sensors_equal_those_of_habitat(make_box_env):
    env = make_box_env(4, observe=("globalgps", "heading"))
    observation, info = env.reset(seed=1)
    for action in [LEFT] * 3 + [FORWARD] * 3 + [RIGHT] * 15 + [FORWARD]:
        assert env.observation_space.contains(observation)
        gps = info["habitat_position"][:, [0, 2]]
        np.testing.assert_allclose(observation["globalgps"], gps, rtol=1e-6)
        for heading, rotation in zip(observation["heading"], info["rotation"], strict=True):
            # habitat-lab's HeadingSensor: -z under the inverse rotation, as an angle on the plan.
            ahead = rotated(np.array([0.0, 0.0, -1.0]), rotation * [-1, -1, -1, 1])
            expected = np.arctan2(ahead[0], -ahead[2])
            assert abs(np.exp(1j * heading[0]) - np.exp(1j * expected)) < 1e-6
        observation, *_, info = env.step(np.full(4, action))
    assert env.simulator.draws == []


@pytest.mark.parametrize("ends", [(0.0, 10.0), (0.5, 5.0), (0.1, 2.2), (0.05, 1.6)])
def test_scaled_depth_ends_at_one(ends):
    settings = replace(R2R_CE, min_depth=ends[0], max_depth=ends[1])
    depth = depth_reading(np.array([0.0, *ends, 100.0]), settings)
    assert depth.dtype == np.float32
    assert depth.tolist() == [0, 0, 1, 1]


class Plain:
    """A room of 8 x 6 m with grey walls 2 m away from every camera."""

    def __init__(self, shade=100, depth=2.0, scale=1.0, sky=False, cut=False):
        self.shade, self.depth, self.scale, self.sky = shade, depth, scale, sky
        holes = [(3.9, -1.0, 4.1, 7.0)] if cut else []
        self.room = ContinuousFloor.of_boxes([(0.0, 0.0, 8.0, 6.0)], holes)

    def floor(self, scan):
        return self

    def distances(self, positions, goal):
        return self.scale * self.room.distances(positions, goal)

    def draw(self, scans, positions, headings, tilts, sensors):
        rgb = np.full((len(scans), 8, 8, 3), self.shade, np.uint8)
        depth = np.full((len(scans), 8, 8), self.depth, np.float32)
        if self.sky:
            depth[:, :2] = 0.0
        return {"rgb": rgb, "depth": depth}


POSITIONS = np.array([[1.0, 1.0, 0], [2.0, 5.0, 0], [3.0, 3.0, 0], [6.0, 2.0, 0], [7.0, 5.0, 0]])


def test_known_differences_are_measured():
    other = Plain(shade=110, depth=2.008, scale=1.02, sky=True)
    result = compare_simulators("room", Plain(), other, POSITIONS, 30)
    assert result.psnr == pytest.approx(20 * np.log10(255 / 10))
    assert result.depth_error == pytest.approx(0.008, rel=1e-3)
    assert result.depth_share == 1
    assert result.sky_share == 0.25
    assert result.distance_error == pytest.approx(0.02)
    assert result.largest_distance_error == pytest.approx(0.02)
    far = compare_simulators("room", Plain(), Plain(depth=2.02), POSITIONS, 30)
    assert far.depth_share == 0


def test_pairs_that_one_of_both_does_not_connect_are_counted():
    result = compare_simulators("room", Plain(), Plain(cut=True), POSITIONS, 40)
    assert 0 < result.unreachable < 40
    assert result.distance_error == 0
