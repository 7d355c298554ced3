import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from PIL import Image

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.navigation.settings import PICTURES, EnvSettings
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.panoramas.cameras import direction
from clipnav.envs.pictures.panorama_files import NoPictureError
from clipnav.storage.features.view_grid import VIEW_HEADINGS, view_direction
from tests.envs.marked_panoramas import MarkedPanoramas, centre

SIZE = 32


@pytest.fixture
def arguments(tiny_arguments):
    """Arguments of an environment with small pictures of marked panoramas."""
    world = {name: tiny_arguments[name] for name in ("world", "data_dir")}
    return {**world, "pictures": MarkedPanoramas(), "image_size": SIZE}


def other_candidates(env, agent=0):
    """Actions that move an agent, and their nodes."""
    world, node = env.nav_world, env._walks.nodes[agent]
    actions = np.flatnonzero(world.valid[node])[1:]
    return node, actions


@pytest.mark.parametrize("observe", PICTURES)
def test_shapes_and_types(arguments, observe):
    env = make_vln_vector_env(3, observe=observe, **{**arguments, "image_size": (24, 32)})
    observation, _ = env.reset(seed=0)
    actions = env.single_action_space.n
    shapes = {
        "rgb": {"rgb": (24, 32, 3)},
        "rgbd": {"rgb": (24, 32, 3), "depth": (24, 32, 1)},
        "candidate_rgb": {
            "candidate_rgb": (actions, 24, 32, 3),
            "candidate_angle": (actions, 2),
            "candidate_distance": (actions,),
        },
        "panorama_rgb": {"panorama_rgb": (36, 24, 32, 3)},
    }[observe]
    pose = {"action_mask", "heading", "elevation", "instruction"}
    assert observation.keys() == shapes.keys() | pose
    for name, shape in shapes.items():
        assert observation[name].shape == (3, *shape)
        assert observation[name].dtype == (np.uint8 if name.endswith("rgb") else np.float32)
    assert observation in env.observation_space


def test_depth_is_planar_and_clipped(arguments):
    env = make_vln_vector_env(2, observe="rgbd", field_of_view=150.0, max_depth=1.2, **arguments)
    observation, info = env.reset(seed=1)
    for agent, viewpoint in enumerate(info["viewpoint"]):
        depth = observation["depth"][agent, ..., 0]
        metres = 1 + int(viewpoint[1:]) / 10
        middle = depth[SIZE // 2 - 1 : SIZE // 2 + 1, SIZE // 2 - 1 : SIZE // 2 + 1]
        np.testing.assert_allclose(middle, min(metres, 1.2), rtol=0.03)
        assert depth[SIZE // 2, 0] < 0.5 * metres
        np.testing.assert_array_equal(depth[0, SIZE // 2], np.float32(1.2))  # the sky
    assert observation in env.observation_space


@pytest.mark.parametrize("geometry", ["exact", "matterport"])
def test_pictures_of_candidates_face_them(arguments, geometry):
    env = make_vln_vector_env(4, observe="candidate_rgb", geometry=geometry, **arguments)
    observation, _ = env.reset(seed=2)
    for agent in range(4):
        node, actions = other_candidates(env, agent)
        world, pictures = env.nav_world, observation["candidate_rgb"][agent]
        offsets = np.zeros((len(actions), 3))
        for row, target in enumerate(world.targets[node, actions]):
            graph = world.graphs[world.scan_names[node]]
            ends = [graph.index(world.viewpoint_ids[one]) for one in (node, target)]
            offsets[row] = graph.positions[ends[1]] - graph.positions[ends[0]]
        lengths = np.linalg.norm(offsets, axis=1)
        ways = offsets / lengths[:, None]
        if geometry == "matterport":
            ways = np.array([direction(*view_direction(v)) for v in world.views[node, actions]])
        assert ((centre(pictures[actions]) * ways).sum(-1) > np.cos(0.02)).all()
        masked = np.setdiff1d(np.arange(len(pictures)), actions)
        assert 0 in masked
        assert not pictures[masked].any()
        assert not observation["candidate_angle"][agent, masked].any()
        np.testing.assert_allclose(observation["candidate_distance"][agent, actions], lengths)
        angles = observation["candidate_angle"][agent, actions].astype(float)
        heading = VIEW_HEADINGS[env._walks.views[agent]] + angles[:, 0]
        exact = offsets / lengths[:, None]
        np.testing.assert_allclose(direction(heading, angles[:, 1]), exact, atol=1e-5)


def test_pictures_are_drawn_when_they_are_first_observed_and_once(arguments):
    source = arguments["pictures"]
    env = make_vln_vector_env(3, observe="rgb", autoreset_mode=AutoresetMode.DISABLED, **arguments)
    assert source.drawn == []
    observation, info = env.reset(seed=1)
    viewpoints = set(zip(info["scan"], info["viewpoint"], strict=True))
    assert {one[:2] for one in source.drawn} == viewpoints
    drawn, stopping = len(source.drawn), np.zeros(3, int)
    after, *_ = env.step(stopping)
    np.testing.assert_array_equal(after["rgb"], observation["rgb"])
    assert after["rgb"] is not observation["rgb"]
    assert len(source.drawn) == drawn == len(viewpoints)


def test_a_world_without_skyboxes_is_refused(tiny_arguments):
    world = {name: tiny_arguments[name] for name in ("world", "data_dir")}
    with pytest.raises(ValueError, match="has no pictures to observe: No skyboxes in"):
        gym.make("R2R-CLIP-v0", observe="rgb", **world)
    with pytest.raises(ValueError, match="scan_dir /x has no effect in world 'houses'"):
        gym.make("R2R-CLIP-v0", observe="rgb", scan_dir="/x")


@pytest.fixture
def skyboxes(tiny_world, tmp_path, marked_skybox, monkeypatch):
    """Folder of skyboxes for all viewpoints, whose colours encode directions."""
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    for path in (tiny_world / "matterport" / "connectivity").glob("*_connectivity.json"):
        scan = path.name.removesuffix("_connectivity.json")
        folder = tmp_path / "scans" / scan / "matterport_skybox_images"
        folder.mkdir(parents=True)
        for record in json.loads(path.read_text("utf-8")):
            rotation = np.reshape(record["pose"], (4, 4))[:3, :3]
            faces = Image.fromarray(marked_skybox(rotation, 64))
            name = f"{record['image_id']}_skybox_small.jpg"
            faces.save(folder / name, quality=97, subsampling=0)
    return tmp_path / "scans"


def test_skyboxes_of_matterport_are_observed(tiny_arguments, skyboxes):
    world = {name: tiny_arguments[name] for name in ("world", "data_dir")}
    env = gym.make("R2R-CLIP-v0", observe="rgb", scan_dir=skyboxes, image_size=64, **world)
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        expected = direction(observation["heading"][0], 0.0)
        assert centre(observation["rgb"]) @ expected > np.cos(0.04)
    env = gym.make(
        "R2R-CLIP-v0", observe="rgb", scan_dir=skyboxes, render_mode="rgb_array", **world
    )
    env.reset(seed=0)
    assert np.ptp(env.render()[:40].astype(int), axis=1).max() > 150, "frames show the skybox"
    env = gym.make("R2R-CLIP-v0", observe="rgbd", scan_dir=skyboxes, **world)
    with pytest.raises(NoPictureError, match=r"no distances are known.*depth_to_skybox\.py"):
        env.reset(seed=0)


def test_features_are_not_loaded(arguments):
    for given in ({}, {"features": None}, {"features": "none"}):
        assert make_vln_vector_env(1, observe="rgb", **arguments, **given).feature_store is None
    for features in ("store.safetensors", np.zeros((4, 36, 8))):
        with pytest.raises(ValueError, match="features has no effect with observe='rgb'"):
            make_vln_vector_env(1, observe="rgb", features=features, **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 64}, "image_size has no effect with observe='features'"),
        ({"observe": "rgb", "geometry": "matterport"}, "it is for observe='candidate_rgb'"),
        ({"observe": "rgb", "max_depth": 3.0}, "it is for observe='rgbd'"),
        ({"observe": "rgbd", "max_depth": 0.0}, "not a positive number of metres"),
        ({"observe": "rgbd", "max_depth": np.nan}, "not a positive number of metres"),
        ({"observe": "rgb", "image_size": 0}, "image_size is 0"),
        (
            {"observe": "rgb", "image_size": 100_000},
            "image_size is 100000, but must be at most 4096",
        ),
        ({"observe": "rgb", "angle_feature_size": 4}, "for observe='features' or 'indices'"),
        ({"observe": "rgb", "image_size": (1, 2, 3)}, "is not \\(height, width\\)"),
        ({"observe": "rgb", "field_of_view": 180.0}, "not between 0 and 180"),
        ({"observe": "candidate_rgb", "geometry": "near"}, "not one of exact, matterport"),
        ({"observe": "rgb", "pictures": "photos"}, "neither 'world', 'habitat'"),
    ],
)
def test_settings_without_effect_or_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        EnvSettings(**changes)
