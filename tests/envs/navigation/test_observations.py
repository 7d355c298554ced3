import gzip
import json

import numpy as np
import pytest

from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.observations import FeatureObserver, angle_feature, panorama_angles
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore


@pytest.fixture(scope="module")
def world(tiny_world):
    return NavWorld.load(["attic", "barn"], tiny_world / "matterport" / "connectivity")


@pytest.fixture(scope="module")
def store(tiny_world):
    return open_store(tiny_world / "features.safetensors")


def observed(world, store, angle_size, nodes, views):
    observer = FeatureObserver(world, store, angle_size, len(nodes))
    out = observer.buffers()
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
            assert seen["action_mask"][0].tolist() == [1] * (1 + count) + [0] * (5 - count)
            for k in range(count):
                np.testing.assert_array_equal(
                    candidates[1 + k, :8], panorama[table.views[i, k], :8]
                )
                turn = table.headings[i, k] - np.deg2rad(30 * base)
                expected = angle_feature(turn, table.elevations[i, k], 4)
                np.testing.assert_allclose(candidates[1 + k, 8:], expected, atol=1e-6)
            assert not candidates[0].any()
            assert not candidates[1 + count :].any()


def test_bad_sizes_and_incomplete_stores_are_refused(world, store, tmp_path):
    for size in (0, 6, -4):
        with pytest.raises(ValueError, match=f"angle_feature_size {size}"):
            FeatureObserver(world, None, size, 1)
    part = tmp_path / "part.safetensors"
    FeatureStore.write(part, store.views[:-1], store.keys[:-1], {})
    with pytest.raises(KeyError, match=r"part\.safetensors.*b5.*barn"):
        FeatureObserver(world, open_store(part), 4, 1)
