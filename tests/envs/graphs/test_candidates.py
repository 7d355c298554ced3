import gzip
import json

import numpy as np
import pytest

from clipnav.envs.graphs.candidates import candidate_table, start_views
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.mattersim.engine import snapped


def golden(shared, name):
    with gzip.open(shared / "golden" / name) as file:
        return json.load(file)["scans"]


@pytest.fixture(scope="module")
def connectivity_dir(shared):
    return shared / "data" / "matterport" / "connectivity"


def test_equals_the_sweep_of_envdrop_in_order_and_value(shared, connectivity_dir):
    for scan, viewpoints in golden(shared, "candidates.json.gz").items():
        graph = NavGraph.load(scan, connectivity_dir)
        table = candidate_table(graph)
        for viewpoint, rows in viewpoints.items():
            i = graph.index(viewpoint)
            present = table.targets[i] >= 0
            targets = [graph.viewpoint_ids[j] for j in table.targets[i][present]]
            assert targets == [row["viewpointId"] for row in rows]
            assert table.views[i][present].tolist() == [row["pointId"] for row in rows]
            headings = [row["normalized_heading"] for row in rows]
            np.testing.assert_allclose(table.headings[i][present], headings, atol=3e-7, rtol=0)
            elevations = [row["elevation"] for row in rows]
            np.testing.assert_allclose(table.elevations[i][present], elevations, atol=1e-6, rtol=0)


def test_equals_the_sweep_on_all_graphs(shared, connectivity_dir):
    for scan, viewpoints in golden(shared, "candidates_all_compact.json.gz").items():
        graph = NavGraph.load(scan, connectivity_dir)
        table = candidate_table(graph)
        record_indices = np.append(graph.record_indices, -1)
        for i, record in enumerate(graph.record_indices):
            rows = viewpoints.get(str(record), [])
            present = table.targets[i] >= 0
            integers = np.stack([record_indices[table.targets[i]], table.views[i]], 1)
            assert integers[present].tolist() == [row[:2] for row in rows]
            angles = np.stack([table.headings[i], table.elevations[i]], 1)[present]
            expected = np.array([row[3:] for row in rows]).reshape(-1, 2)
            np.testing.assert_allclose(angles, expected, atol=5.5e-6, rtol=0)


def swept_candidates(graph, viewpoint):
    """EnvDrop's sweep, step by step: neighbours in order of discovery with their best view."""
    here = graph.positions[graph.index(viewpoint)]
    best = {}
    for view in range(36):
        heading, elevation = np.deg2rad(30 * (view % 12)), np.deg2rad(30 * (view // 12 - 1))
        seen = []
        for name in graph.neighbours(viewpoint):
            x, y, z = graph.positions[graph.index(name)] - here
            turn = (np.arctan2(x, y) - heading + np.pi) % (2 * np.pi) - np.pi
            if abs(turn) <= np.deg2rad(40):
                rise = np.arctan2(z, np.hypot(x, y)) - elevation
                seen.append((np.hypot(turn, rise), name, heading + turn, elevation + rise))
        for offset, name, *angles in sorted(seen):
            if name not in best or offset < best[name][0]:
                best[name] = (offset, view, *angles)
    return best


def test_equals_a_sweep_on_random_graphs():
    rng = np.random.default_rng(3)
    for _ in range(20):
        count = 12
        edges = np.triu(rng.random((count, count)) < 0.5, 1)
        edges |= edges.T
        poses = np.tile(np.eye(4), (count, 1, 1))
        poses[:, :3, 3] = rng.uniform(-5, 5, (count, 3)) * [1, 1, 0.4]
        records = [
            {
                "image_id": str(i),
                "pose": poses[i].ravel(),
                "included": i > 0,
                "height": 1.5,
                "unobstructed": row,
            }
            for i, row in enumerate(edges)
        ]
        graph = NavGraph("random", records)
        table = candidate_table(graph)
        for i, viewpoint in enumerate(graph.viewpoint_ids):
            present = table.targets[i] >= 0
            swept = swept_candidates(graph, viewpoint)
            assert [graph.viewpoint_ids[j] for j in table.targets[i][present]] == list(swept)
            rows = np.array(list(swept.values())).reshape(-1, 4)
            assert table.views[i][present].tolist() == rows[:, 1].tolist()
            np.testing.assert_allclose(table.headings[i][present], rows[:, 2], atol=1e-5)
            np.testing.assert_allclose(table.elevations[i][present], rows[:, 3], atol=1e-5)
            assert (table.views[i][~present] == -1).all()
            assert (table.headings[i][~present] == 0).all()


def test_neighbours_in_one_direction_keep_the_order_of_the_file():
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = 0, 2, 5  # metres along +x
    records = [
        {
            "image_id": str(i),
            "pose": pose.ravel(),
            "included": True,
            "height": 1.5,
            "unobstructed": [i != j for j in range(3)],
        }
        for i, pose in enumerate(poses)
    ]
    table = candidate_table(NavGraph("line", records))
    assert table.views.tolist() == [[15, 15], [15, 21], [21, 21]]
    assert table.targets.tolist() == [[1, 2], [2, 0], [0, 1]]


def test_start_views_equal_the_simulator_in_every_multiple_of_half_a_step():
    # Large multiples of the double half step fall on either side of it, by rounding.
    headings = np.arange(-60, 60) * (np.pi / 12)
    expected = [snapped(heading, 0.0) for heading in headings]
    assert start_views(headings).tolist() == expected
