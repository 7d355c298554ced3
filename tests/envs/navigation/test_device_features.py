from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.making import make_vln_vector_env
from clipnav.envs.navigation.observations import angle_feature
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.shards import Shard
from clipnav.storage.features.store import FeatureStore


@pytest.fixture(scope="module")
def twins(tiny_arguments):
    """Two environments with the same episodes, one observing features and one indices."""
    kinds = ("features", "indices")
    return [make_vln_vector_env(5, **tiny_arguments, observe=kind) for kind in kinds]


@given(seed=st.integers(0, 2**31), steps=st.integers(0, 12))
@settings(max_examples=25, deadline=None)
def test_gathered_features_equal_those_of_the_environment(twins, seed, steps):
    full, slim = twins
    features = DeviceFeatures(slim)
    observation, _ = full.reset(seed=seed)
    indices, _ = slim.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        actions = rng.integers(full.single_action_space.n, size=5)
        observation, *rest, info = full.step(actions)
        indices, *other_rest, other_info = slim.step(actions)
        for mine, other in zip(rest, other_rest, strict=True):
            np.testing.assert_array_equal(mine, other)
        assert info["viewpoint"].tolist() == other_info["viewpoint"].tolist()
    seen = features.gather(indices["viewpoint"], indices["view"])
    np.testing.assert_array_equal(seen.panorama, observation["panorama"])
    np.testing.assert_array_equal(seen.candidates, observation["candidates"])
    np.testing.assert_array_equal(seen.mask, observation["action_mask"])
    size = full.angle_feature_size
    directions = observation["heading"][:, 0], observation["elevation"][:, 0]
    own = angle_feature(*directions, size)
    np.testing.assert_array_equal(seen.angle, own)
    assert features.width == full.single_observation_space["panorama"].shape[1]
    for name in ("instruction", "action_mask", "heading", "elevation"):
        np.testing.assert_array_equal(indices[name], observation[name])


def test_distances_are_the_lengths_of_edges(twins):
    world = twins[1].nav_world
    nodes = np.arange(len(world))
    distances = DeviceFeatures(twins[1]).gather(nodes, np.full(len(world), 12)).distances
    places = np.concatenate([graph.positions for graph in world.graphs.values()])
    expected = np.linalg.norm(places[world.targets] - places[:, None], axis=2)
    np.testing.assert_allclose(distances, expected, atol=1e-5)
    assert (distances[:, 0] == 0).all()


def test_a_store_in_shards_gathers_the_same(tiny_arguments, twins, tmp_path):
    whole = twins[1].feature_store
    for index in range(2):
        part = Shard(index, 2)
        path = part.path(tmp_path / "store.safetensors")
        rows = [whole.keys.index(key) for key in part.part(whole.keys)]
        FeatureStore.write(path, whole.views[rows], part.part(whole.keys), {"encoder": "test"})
    arguments = {**tiny_arguments, "features": str(tmp_path / "store.safetensors")}
    env = make_vln_vector_env(2, **arguments, observe="indices")
    nodes, views = np.array([1, 9]), np.array([7, 20])  # a viewpoint of each shard
    expected = DeviceFeatures(twins[1]).gather(nodes, views)
    assert torch.equal(DeviceFeatures(env).gather(nodes, views).panorama, expected.panorama)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here")
def test_gathers_the_same_on_an_accelerator(twins):
    nodes, views = np.arange(10), np.arange(10) + 9
    here = DeviceFeatures(twins[1]).gather(nodes, views)
    there = DeviceFeatures(twins[1], "cuda").gather(nodes, views)
    for mine, other in zip(here, there, strict=True):
        assert other.device.type == "cuda"
        assert torch.equal(mine, other.cpu())


def test_an_invalid_angle_feature_size_is_refused(tiny_arguments):
    env = make_vln_vector_env(1, **tiny_arguments, observe="indices", angle_feature_size=10)
    with pytest.raises(ValueError, match="angle_feature_size 10"):
        DeviceFeatures(env)


def test_non_finite_features_are_refused_before_training(tiny_arguments, tmp_path):
    path = tmp_path / "broken.safetensors"
    raw = bytearray(Path(tiny_arguments["features"]).read_bytes())
    row = open_store(tiny_arguments["features"]).row("attic", "a4")
    views = len(raw) - 17 * 36 * 8 * 2
    start = views + row * 36 * 8 * 2
    raw[start : start + 2] = np.float16("nan").tobytes()
    path.write_bytes(raw)
    arguments = {**tiny_arguments, "features": str(path)}
    match = r"broken\.safetensors: features of viewpoint a4 of scan attic are not all finite"
    with pytest.raises(ValueError, match=match):
        DeviceFeatures(make_vln_vector_env(2, **arguments, observe="indices"))
    env = make_vln_vector_env(8, **arguments, observe="features", split="train")

    def walk_everywhere():
        for seed in range(20):
            observation, _ = env.reset(seed=seed)
            for _ in range(6):
                observation, *_ = env.step(observation["action_mask"].argmin(1) - 1)

    with pytest.raises(ValueError, match=match):
        walk_everywhere()
