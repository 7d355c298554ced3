"""The server of habitat-sim, with a fake habitat-sim in another process."""

import ast
import sys

import numpy as np
import pytest

from clipnav.envs.habitat import client
from clipnav.envs.habitat.server import Habitat
from clipnav.envs.panoramas.cameras import perspective_camera
from tests.envs.marked_panoramas import seen

CAMERAS = [
    {"name": "rgb", "kind": "rgb", "size": [24, 32], "hfov": 75.0},
    {"name": "depth", "kind": "depth", "size": [20, 20], "hfov": 60.0},
]


def test_the_file_runs_under_python_3_9_with_numpy_alone():
    text = client.SERVER.read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    names = {
        alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {
        (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert names - sys.stdlib_module_names == {"numpy", "habitat_sim"}
    # Newer than 3.9, although the grammar accepts them.
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert "strict" not in {word.arg for call in calls for word in call.keywords}


def test_versions_and_names_of_the_other_process(server):
    assert server.call("versions")["habitat_sim"] == "0.3.3"
    assert server.call("missing") == []
    assert server.call("probe") == [1, 8, 8, 3]


def test_pictures_come_through_shared_memory_in_the_direction_of_their_poses(server, scene):
    yaws, pitches = [0.4, -2.0, 3.0], [0.2, -0.5, 0.0]
    drawn = server.draw(str(scene), CAMERAS, np.zeros((3, 3)), yaws, pitches)
    assert drawn["rgb"].dtype == np.uint8
    assert drawn["depth"].dtype == np.float32
    assert drawn["depth"].shape == (3, 20, 20)
    x, y = np.meshgrid(np.arange(32) + 0.5, np.arange(24) + 0.5)
    vfov = 2 * np.arctan(np.tan(np.radians(75) / 2) * 24 / 32)
    for picture, yaw, pitch in zip(drawn["rgb"], yaws, pitches, strict=True):
        rays = perspective_camera((24, 32), -yaw, pitch, vfov)(x, y)
        assert ((seen(picture) * rays).sum(-1) > np.cos(0.03)).all()
    middle = drawn["depth"][:, 9:11, 9:11]
    np.testing.assert_allclose(middle, 3.0, rtol=0.01)  # a ball of 3 m around every camera


def camera(name, side, hfov=90.0):
    return {"name": name, "kind": name, "size": [side, side], "hfov": hfov}


def test_cameras_of_one_name_that_differ_draw_their_own_pictures(server, scene, habitat_python):
    one = str(scene), [camera("rgb", 20)], np.zeros((1, 3)), [0.0], [0.0]
    wide = server.draw(*one)["rgb"]
    assert server.draw(one[0], [camera("rgb", 24)], *one[2:])["rgb"].shape == (1, 24, 24, 3)
    narrow = server.draw(one[0], [camera("rgb", 20, 60.0)], *one[2:])["rgb"]
    with client.HabitatServer(habitat_python, -1) as other:
        alone = other.draw(one[0], [camera("rgb", 20, 60.0)], *one[2:])["rgb"]
    np.testing.assert_array_equal(narrow, alone)
    assert (narrow != wide).any()


def test_cameras_in_turns_and_other_scenes_share_a_simulator(habitat, scene):
    """A panorama of one kind and a picture of the other are drawn at each step."""
    server, pose = Habitat(-1), ([[0.0, 0.0, 0.0]], [0.0], [0.0])
    for name in ("rgb", "depth") * 3:
        for file in (str(scene), "other.glb"):
            assert server.draw(file, [camera(name, 20)], *pose).keys() == {name}
    assert habitat.calls.count(("Simulator",)) == 2


def test_a_floor_answers_in_habitats_axes(server, floor):
    points = [[0.0, 0.0, 0.0], [5.8, 0.0, 1.0], [7.0, 0.0, 9.0]]
    assert server.call("contains", floor=floor, positions=points) == [True, True, False]
    np.testing.assert_allclose(
        server.call("project", floor=floor, positions=points), [*points[:2], [5.9, 0, 5.4]]
    )
    clearance = server.call("clearance", floor=floor, positions=points[:2])
    np.testing.assert_allclose(clearance, [2.0, 0.1], atol=1e-6)
    ends = [[0.25, 0.0, 0.0], [6.05, 0.0, 1.0], [0.0, 0.0, 0.0]]
    moved = server.call("step", floor=floor, positions=points[:2], ends=ends[:2], sliding=True)
    np.testing.assert_allclose(moved, [[0.25, 0, 0], [5.9, 0, 1]], atol=1e-6)
    far = [[0.0, 99.0, 0.0]]
    goals = [points[1], far[0]]
    distances = server.call("distances", floor=floor, positions=points[:1] * 2, goals=goals)
    np.testing.assert_allclose(distances, [np.hypot(5.8, 1.0), np.inf])
    assert len(server.call("path", floor=floor, start=points[0], goal=points[1])) == 2
    assert server.call("path", floor=floor, start=points[0], goal=far[0]) == []


@pytest.mark.parametrize("rule", ["", "sticks"])
def test_the_rule_of_steps_without_sliding_is_found_out(habitat_python, floor, monkeypatch, rule):
    monkeypatch.setenv("FAKE_HABITAT_STICKS", rule)
    with client.HabitatServer(habitat_python, -1) as server:
        assert server.call("sticks", floor=floor) is bool(rule)
        assert np.shape(server.call("triangles", floor=floor)) == (2, 3, 3)


def test_the_navigation_mesh_is_computed_once_with_small_cells(server, floor, habitat_python):
    [[_, level, _]] = server.call("project", floor=floor, positions=[[0, 0, 0]])
    assert level == 0.0  # cells of 0.2 m would put it 0.2 m above the floor
    mesh = client.Path(floor["mesh"])
    mesh.write_text("[0.0, 1.0, 1.0]")
    with client.HabitatServer(habitat_python, -1) as other:
        assert other.call("contains", floor=floor, positions=[[2, 0, 0]]) == [False]
    mesh.write_text("damaged")
    with (
        client.HabitatServer(habitat_python, -1) as other,
        pytest.raises(ValueError, match=r"attic\.navmesh: not a navigation mesh"),
    ):
        other.call("contains", floor=floor, positions=[[2, 0, 0]])
