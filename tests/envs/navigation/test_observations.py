import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.observations import (
    FeatureObserver,
    WideningReader,
    angle_feature,
    panorama_angles,
    stored_tensors,
)
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.shards import Shard
from clipnav.storage.features.store import FeatureStore, ShardedViews


@pytest.fixture(scope="module")
def world(tiny_world):
    return NavWorld.load(["attic", "barn"], tiny_world / "matterport" / "connectivity")


@pytest.fixture(scope="module")
def store(tiny_world):
    return open_store(tiny_world / "features.safetensors")


def observed(world, store, angle_size, nodes, views):
    observer = FeatureObserver(world, store, angle_size, len(nodes))
    spaces = observer.space().items()
    out = {name: np.empty((len(nodes), *space.shape), space.dtype) for name, space in spaces}
    for array in out.values():
        array.fill(1)  # old values must be overwritten
    observer.observe(nodes, views, out)
    return out


def test_panorama_angles_are_those_of_envdrop(shared):
    with gzip.open(shared / "golden" / "angle_feature_36x36.json.gz") as file:
        expected = np.array(json.load(file)["v"], dtype=np.float32)  # base view, view, 4
    for base_view in range(36):
        np.testing.assert_allclose(
            panorama_angles(4)[base_view % 12], expected[base_view], atol=1e-7, rtol=0
        )


def test_panorama_contains_views_and_relative_directions(world, store):
    assert FeatureObserver(world, store, 8, 7).width == 16
    nodes = np.array([0, 15, 3, 3, 3, 3, 3])
    views = np.array([0, 14, 35, 12, 13, 1, 2])
    seen = observed(world, store, 8, nodes, views)
    assert seen["panorama"].dtype == np.float32
    for b, (node, view) in enumerate(zip(nodes, views, strict=True)):
        row = store.row(world.scan_names[node], world.viewpoint_ids[node])
        np.testing.assert_array_equal(seen["panorama"][b, :, :8], store.views[row])
        for v in range(36):
            turn, rise = np.deg2rad(30 * (v % 12 - view % 12)), np.deg2rad(30 * (v // 12 - 1))
            direction = np.tile([np.sin(turn), np.cos(turn), np.sin(rise), np.cos(rise)], 2)
            np.testing.assert_allclose(seen["panorama"][b, v, 8:], direction, atol=1e-6)
        assert seen["heading"][b, 0] == pytest.approx(np.deg2rad(30 * (view % 12)))
        assert seen["elevation"][b, 0] == pytest.approx(np.deg2rad(30 * (view // 12 - 1)))


def test_candidates_contain_their_view_and_exact_direction(world, store):
    for scan, graph in world.graphs.items():
        table = candidate_table(graph)
        for i, viewpoint in enumerate(graph.viewpoint_ids):
            base = i % 12
            node = world.node(scan, viewpoint)
            seen = observed(world, store, 4, np.array([node]), np.array([base]))
            candidates, panorama = seen["candidates"][0], seen["panorama"][0]
            count = len(graph.neighbours(viewpoint))
            assert world.mask[node].tolist() == [1] * (1 + count) + [0] * (5 - count)
            for k in range(count):
                np.testing.assert_array_equal(
                    candidates[1 + k, :8], panorama[table.views[i, k], :8]
                )
                turn = table.headings[i, k] - np.deg2rad(30 * base)
                expected = angle_feature(turn, table.elevations[i, k], 4)
                np.testing.assert_allclose(candidates[1 + k, 8:], expected, atol=1e-6)
            assert not candidates[0].any()
            assert not candidates[1 + count :].any()


def make_store(path, views):
    keys = [f"scan_{row}" for row in range(len(views))]
    FeatureStore.write(path, views, keys, {"encoder": "test"})
    return open_store(path)


# The widths of CLIP models and of ResNet-152, and one for which even a single view is large.
@pytest.mark.parametrize("width", [1, 512, 640, 1024, 2048, 33_000])
def test_reads_the_values_of_the_store(tmp_path, width):
    rng = np.random.default_rng(width)
    count = 5 if width < 10_000 else 2
    store = make_store(
        tmp_path / "s.safetensors", rng.standard_normal((count, 36, width), dtype=np.float32)
    )
    rows = rng.integers(0, count, 4)
    target = np.full((4, 36, width + 8), 7.0, dtype=np.float32)
    WideningReader(store).read(rows, target)
    np.testing.assert_array_equal(target[..., :width], store.views[rows].astype(np.float32))
    assert (target[..., width:] == 7).all()


def test_every_finite_float16_keeps_its_value_and_sign(tmp_path):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = np.resize(halves[np.isfinite(halves)], (36 * 1764,)).reshape(1, 36, -1)
    store = make_store(tmp_path / "s.safetensors", halves)
    target = np.empty(halves.shape, dtype=np.float32)
    WideningReader(store).read(np.array([0]), target)
    np.testing.assert_array_equal(target, halves.astype(np.float32))
    np.testing.assert_array_equal(np.signbit(target), np.signbit(halves))


def test_shards_are_read_without_copies(tmp_path):
    rng = np.random.default_rng(0)
    views = rng.standard_normal((7, 36, 16)).astype(np.float16)
    keys = [f"scan_{row}" for row in range(7)]
    output = tmp_path / "store.safetensors"
    for index in range(3):
        part = Shard(index, 3)
        rows = [keys.index(key) for key in part.part(keys)]
        FeatureStore.write(part.path(output), views[rows], part.part(keys), {"encoder": "test"})
    store = open_store(output)
    rows = rng.integers(0, 7, 20)
    target = np.empty((20, 36, 16), dtype=np.float32)
    WideningReader(store).read(rows, target)
    np.testing.assert_array_equal(target, views[rows].astype(np.float32))
    tensors = stored_tensors(store)
    assert [len(tensor) for tensor in tensors] == [2, 2, 3]
    assert isinstance(store.views, ShardedViews)
    for tensor, part in zip(tensors, store.views.parts, strict=True):
        assert np.shares_memory(tensor.numpy(), part)
        assert not part.flags.writeable  # a read-only memory map


def test_its_pickle_contains_the_store_path_only(tmp_path):
    store = make_store(tmp_path / "s.safetensors", np.ones((50, 36, 64), dtype=np.float32))
    raw = pickle.dumps(WideningReader(store))
    assert len(raw) < 1000
    target = np.empty((1, 36, 64), dtype=np.float32)
    pickle.loads(raw).read(np.array([3]), target)
    assert (target == 1).all()


def test_non_finite_features_are_refused_on_first_read(tmp_path):
    store = make_store(tmp_path / "s.safetensors", np.ones((3, 36, 4), np.float32))
    raw = bytearray(store.path.read_bytes())
    raw[-2:] = np.float16("nan").tobytes()
    store.path.write_bytes(raw)
    reader, target = WideningReader(store), np.empty((2, 36, 4), np.float32)
    for _ in range(2):
        reader.read(np.array([0, 1]), target)
        with pytest.raises(ValueError, match="features of viewpoint 2 of scan scan are not all"):
            reader.read(np.array([1, 2]), target)


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here")
def test_gathers_the_same_on_an_accelerator(twins):
    nodes, views = np.arange(10), np.arange(10) + 9
    here = DeviceFeatures(twins[1]).gather(nodes, views)
    there = DeviceFeatures(twins[1], "cuda").gather(nodes, views)
    for mine, other in zip(here, there, strict=True):
        assert other.device.type == "cuda"
        assert torch.equal(mine, other.cpu())


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


def test_bad_sizes_and_incomplete_stores_are_refused(world, store, tmp_path):
    for size in (0, 6, -4):
        with pytest.raises(ValueError, match=f"angle_feature_size {size}"):
            FeatureObserver(world, None, size, 1)
    part = tmp_path / "part.safetensors"
    FeatureStore.write(part, store.views[:-1], store.keys[:-1], {})
    with pytest.raises(KeyError, match=r"part\.safetensors.*b5.*barn"):
        FeatureObserver(world, open_store(part), 4, 1)
