"""Continuous environments in habitat-sim, with its fake in another process."""

import os
import pickle
import signal
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.continuous.environments.making import (
    make_continuous_env,
    make_continuous_vector_env,
)
from clipnav.envs.continuous.habitat_simulator import (
    HabitatSimulator,
    folder_files,
    house_files,
    mesh_file,
)
from clipnav.envs.continuous.settings import R2R_CE, RXR_CE, task_settings
from clipnav.envs.habitat.client import HabitatServer, shared_server
from clipnav.envs.houses.building.house import house_cache_dir
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.panoramas.cameras import direction
from clipnav.storage.errors import UserError
from tests.envs.marked_panoramas import centre

SMALL = {"rgb_size": (24, 32), "depth_size": (16, 16)}


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    """Folder of 3D models, which the fake does not read."""
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "scenes"
    for name in ("attic/attic.glb", "barn/barn.glb"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def simulator(scenes, habitat_python):
    with HabitatServer(habitat_python, gpu_device_id=-1) as server:
        yield HabitatSimulator(task_settings("r2r", **SMALL), partial(folder_files, scenes), server)


@pytest.fixture
def arguments(tiny_world, scenes, habitat_python):
    """Arguments of an environment in the tiny world, whose attic lies on the fake's floor."""
    yield {
        "world": "matterport",
        "data_dir": str(tiny_world),
        "backend": "habitat",
        "scan_dir": scenes,
        "habitat_python": habitat_python,
        "gpu_device_id": -1,
        **SMALL,
    }
    shared_server(habitat_python, -1).close()


def test_a_floor_has_the_axes_of_the_graphs(simulator):
    floor = simulator.floor("attic")
    positions = np.array([[0.0, 0.0, 0.0], [5.8, -1.0, 0.0]])
    assert floor.contains(positions).tolist() == [True, True]
    assert floor.contains(np.array([[0.0, 9.0, 0.0]])).tolist() == [False]
    np.testing.assert_allclose(floor.project(np.array([[9.0, 8.0, 0.3]])), [[5.9, 5.4, 0.0]])
    far = np.array([[99.0, 0.0, 0.0]])
    np.testing.assert_array_equal(floor.project(far), far)
    np.testing.assert_allclose(floor.clearance(positions), [2.0, 0.1], atol=1e-6)
    distances = floor.distances(positions, positions[1])
    np.testing.assert_allclose(distances, [np.hypot(5.8, 1.0), 0.0], atol=1e-6)
    assert np.isinf(floor.distances(positions, np.array([0.0, 0.0, 50.0]))).all()
    path = floor.shortest_path(positions[0], positions[1])
    np.testing.assert_allclose(path, positions, atol=1e-6)
    assert floor.shortest_path(positions[0], np.array([0.0, 0.0, 50.0])).shape == (0, 3)
    assert floor.distances(np.empty((0, 3)), positions[0]).shape == (0,)


@pytest.mark.parametrize("rule", ["", "sticks"])
def test_an_agent_without_sliding_leaves_a_wall_at_once(scenes, habitat_python, monkeypatch, rule):
    """habitat-sim 0.3.4 has another rule, by which it would stay there."""
    monkeypatch.setenv("FAKE_HABITAT_STICKS", rule)
    settings = task_settings("rxr", **SMALL)
    with HabitatServer(habitat_python, gpu_device_id=-1) as server:
        simulator = HabitatSimulator(settings, partial(folder_files, scenes), server)
        floor = simulator.floor("attic")
        at = np.array([[5.7, 1.0, 0.0], [0.0, 5.2, 0.1], [0.0, 0.0, 0.0]])
        headings = np.array([1.4, 0.3, 2.0])
        moved, collided = floor.step(at, headings, 0.25, sliding=False)
        wall = 6 - settings.agent_radius
        np.testing.assert_allclose(moved[0], [wall, 1 + (wall - 5.7) / np.tan(1.4), 0], atol=1e-5)
        assert collided.tolist() == [True, True, False]
        back, collided = floor.step(moved, headings + np.pi, 0.25, sliding=False)
        away = 0.25 * np.stack([np.sin(headings), np.cos(headings)], axis=1)
        np.testing.assert_allclose(back[:, :2], moved[:, :2] - away, atol=1e-5)
        assert not collided.any()
        slid, _ = floor.step(moved, headings, 0.25, sliding=True)
        assert (np.linalg.norm(slid - moved, axis=1)[:2] > 0.01).all()


def test_pictures_of_agents_in_several_buildings(simulator):
    scans, headings = ["attic", "barn", "attic"], np.array([0.3, 2.0, 5.5])
    tilts = np.array([0.0, -0.5, 0.2])
    drawn = simulator.draw(scans, np.zeros((3, 3)), headings, tilts, ("rgb", "depth"))
    assert drawn["rgb"].shape == (3, 24, 32, 3)
    assert drawn["depth"].shape == (3, 16, 16)
    ways = direction(headings, tilts)
    assert ((centre(drawn["rgb"]) * ways).sum(-1) > np.cos(0.05)).all()
    np.testing.assert_allclose(drawn["depth"][:, 7:9, 7:9], 3.0, rtol=0.01)
    alone = simulator.draw(scans[1:2], np.zeros((1, 3)), headings[1:2], tilts[1:2], ("rgb",))
    assert alone.keys() == {"rgb"}
    np.testing.assert_array_equal(alone["rgb"], drawn["rgb"][1:2])


def test_the_mesh_beside_a_scene_is_for_the_default_agent_only(scenes, tmp_path):
    files = folder_files(scenes, "attic")
    cached = mesh_file("attic", files, R2R_CE)
    assert cached.is_relative_to(tmp_path / "cache")
    mesh = scenes / "attic" / "attic.navmesh"
    mesh.touch()
    assert mesh_file("attic", files, R2R_CE) == mesh
    other = mesh_file("attic", files, RXR_CE)
    assert other.name.endswith("-r0.18-h0.88.navmesh")
    files.model.write_text("another model")
    assert mesh_file("attic", files, RXR_CE) != other


def test_the_mesh_of_a_scene_depends_on_the_contents_of_configuration_and_model(scenes):
    stage, model = scenes / "loft.stage_config.json", scenes / "models" / "loft_v2.glb"
    upright = '{"render_asset": "models/loft_v2.glb", "up": [0, 1, 0]}'
    stage.write_text(upright)
    with pytest.raises(FileNotFoundError, match=r"loft_v2\.glb: .*correct this stage"):
        folder_files(scenes, "loft")
    model.parent.mkdir()
    model.touch()
    files = folder_files(scenes, "loft")
    assert files.scene == stage
    computed = [mesh_file("loft", files, RXR_CE)]
    for file, text in ((model, "walls"), (stage, upright.replace("0, 1, 0", "0, 0, 1"))):
        file.write_text(text)
        computed.append(mesh_file("loft", files, RXR_CE))
        file.write_text(text)  # again, at another time
        os.utime(file, ns=(1, 1))
        assert mesh_file("loft", files, RXR_CE) == computed[-1]
    assert len(set(computed)) == 3
    beside = scenes / "loft.navmesh"
    beside.touch()
    assert mesh_file("loft", files, R2R_CE) == beside


def test_every_environment_finds_the_mesh_of_a_house_that_the_first_one_computed(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))

    def house(self, scan):
        house_cache_dir().mkdir(parents=True, exist_ok=True)
        (house_cache_dir() / f"{scan}.glb").touch()

    monkeypatch.setattr(HousePanoramas, "house", house)
    meshes = set()
    for time in range(3):
        meshes.add(mesh_file("house_26", house_files("house_26"), RXR_CE))
        for file in house_cache_dir().glob("*.json"):
            written = file.stat().st_mtime_ns
            assert written == time or not time  # it is not written again
            os.utime(file, ns=(time + 1, time + 1))
    assert len(meshes) == 1


def test_a_damaged_configuration_is_refused(scenes):
    (scenes / "loft.stage_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"loft\.stage_config\.json.*correct this stage"):
        folder_files(scenes, "loft")


def test_passes_the_checker_of_gymnasium(arguments):
    env = gym.make("R2R-CE-CLIP-v0", **arguments, render_mode="rgb_array")
    check_env(env.unwrapped)


def test_spaces_and_infos_equal_those_of_the_other_backend(arguments, make_box_env):
    mine = make_continuous_vector_env(4, **arguments)
    other = make_box_env(4, **SMALL)
    mine.reset(seed=0)
    other.reset(seed=0)
    results = [env.step(np.ones(4, int)) for env in (mine, other)]
    for name, space in mine.single_observation_space.items():
        if name != "instruction":
            assert space == other.single_observation_space[name]
    assert results[0][4].keys() == results[1][4].keys()
    assert mine.single_action_space == other.single_action_space


def test_the_teacher_reaches_the_goal(arguments):
    env = make_continuous_env(**arguments)
    _, info = env.reset(seed=0, options={"episode_id": "102_1"})
    assert info["scan"] == "attic"
    terminated = False
    for _ in range(200):
        _, _, terminated, truncated, info = env.step(info["teacher_action"])
        if terminated:
            break
        assert not truncated
    assert info["metrics"]["success"] == 1.0
    assert info["distance_to_goal"] < 0.5


def test_seeds_pickles_and_killed_processes_do_not_change_an_episode(arguments):
    first, second = (make_continuous_vector_env(2, **arguments) for _ in range(2))
    assert data_equivalence(first.reset(seed=3), second.reset(seed=3))
    copy = pickle.loads(pickle.dumps(first))
    server = shared_server(Path(arguments["habitat_python"]), -1)
    for step in range(6):
        if step == 3:
            child = server._process._child
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        results = [env.step(first.teacher_actions()) for env in (first, second, copy)]
        assert data_equivalence(results[0], results[1])
        assert data_equivalence(results[0], results[2])
    assert server.restarts == 1


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (-8.0, r"scene attic: 14 of 14 starts are not on its floor; .*stage"),
        # A small model: its starts are near another floor, which does not lead to their goals.
        (0.8, r"scene attic: 14 of 14 starts have no route to their goal on its floor; .*stage"),
    ],
)
def test_a_scene_with_another_vertical_axis_is_refused(arguments, tmp_path, level, message):
    env = make_continuous_env(**arguments)
    env.reset(seed=0, options={"episode_id": "102_1"})
    [mesh] = (tmp_path / "cache" / "habitat" / "meshes").glob("attic-*.navmesh")
    mesh.write_text(f"[{level}, 6.0, 5.5]")  # level, half width and half depth
    shared_server(arguments["habitat_python"], -1).close()
    turned = make_continuous_env(**arguments)
    with pytest.raises(UserError, match=message):
        turned.reset(seed=0, options={"episode_id": "102_1"})


def test_arguments_without_effect_are_refused(arguments, tiny_world):
    world = {"world": "matterport", "data_dir": str(tiny_world)}
    with pytest.raises(ValueError, match="requires scan_dir, its 3D models"):
        make_continuous_env(**world, backend="habitat")
    with pytest.raises(ValueError, match="has no floors and no cameras of its own"):
        make_continuous_env(**world)
    with pytest.raises(ValueError, match="gpu_device_id has no effect without backend='habitat'"):
        make_continuous_env(gpu_device_id=0)
    with pytest.raises(ValueError, match="backend 'unity' is not one of houses, habitat"):
        make_continuous_env(backend="unity")
    with pytest.raises(FileNotFoundError, match="neither a Python interpreter"):
        make_continuous_env(**{**arguments, "habitat_python": "/no/python"})
