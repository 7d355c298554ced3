from shutil import copy

import numpy as np
import pytest

from clipnav.envs.drawing.scenes import scene, storeys
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.building.house import plan_of
from clipnav.envs.houses.building.sets import MINI, STANDARD


def test_a_house_is_shown_with_its_plan():
    graph, plan = NavGraph.load("house_28"), plan_of(MINI.specs["house_28"])
    shown = scene(graph, "houses")
    assert shown["storeys"] == 1
    assert {room["kind"] for room in shown["plan"]["rooms"]} == {r.kind for r in plan.rooms}
    assert len(shown["plan"]["openings"]) == len(plan.openings)
    assert len(shown["edges"]) == graph.edges.shape[1] // 2
    for name, (x, y, z, storey) in shown["viewpoints"].items():
        assert [x, y] == pytest.approx(graph.positions[graph.index(name), :2], abs=1e-3)
        assert z == pytest.approx(0, abs=0.01)
        assert storey == 0
        assert plan.room_at(x, y) >= 0


def test_a_large_house_is_shown_with_both_storeys(tiny_world, tmp_path):
    ring = tiny_world / "matterport" / "connectivity" / "barn_connectivity.json"
    copy(ring, tmp_path / "standard_03_connectivity.json")
    shown = scene(NavGraph.load("standard_03", tmp_path), "houses-standard")
    plan = plan_of(STANDARD.specs["standard_03"])
    assert shown["storeys"] == plan.storeys == 2
    assert len(shown["plan"]["rooms"]) == len(plan.rooms)


def test_other_buildings_have_no_plan(tiny_world):
    graph = NavGraph.load("barn", tiny_world / "matterport" / "connectivity")
    shown = scene(graph, "matterport")
    assert shown["plan"] is None
    assert shown["storeys"] == 1
    assert len(shown["viewpoints"]) == len(graph)


@pytest.mark.parametrize("heights", [[0.0], [0.0, 3.1], [-3.0, 0.0, 2.9, 5.8]])
def test_storeys_are_heights_of_many_viewpoints(heights):
    rng = np.random.default_rng(0)
    floors = np.concatenate([height + rng.normal(0, 0.08, 30) for height in heights])
    expected = np.repeat(np.arange(len(heights)), 30)
    order = rng.permutation(len(floors))
    np.testing.assert_array_equal(storeys(floors[order]), expected[order])


def test_stairs_belong_to_the_nearest_storey():
    floors = np.concatenate([np.zeros(20), np.full(20, 3.0), [0.6, 1.2, 1.8, 2.4]])
    assert storeys(floors)[-4:].tolist() == [0, 0, 1, 1]


def test_storeys_of_real_buildings(shared):
    folder = shared / "data" / "matterport" / "connectivity"
    counts = {"17DRP5sb8fy": 1, "1LXtFkjw3qL": 3, "5q7pvUzZiYa": 3, "EU6Fwq7SyZv": 3}
    for scan, count in counts.items():
        graph = NavGraph.load(scan, folder)
        levels = storeys(graph.positions[:, 2] - graph.heights)
        assert np.unique(levels).tolist() == list(range(count))
