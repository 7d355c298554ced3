import gzip
import json

import numpy as np
import pytest

from envs.candidates import candidate_table
from envs.nav_graph import NavGraph


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
            assert table.navigable_indices[i][present].tolist() == [row["idx"] for row in rows]
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
            integers = np.stack(
                [record_indices[table.targets[i]], table.views[i], table.navigable_indices[i]], 1
            )
            assert integers[present].tolist() == [row[:3] for row in rows]
            angles = np.stack([table.headings[i], table.elevations[i]], 1)[present]
            expected = np.array([row[3:] for row in rows]).reshape(-1, 2)
            np.testing.assert_allclose(angles, expected, atol=5.5e-6, rtol=0)
