import json

import numpy as np
import pytest

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.graph.statistics import graph_statistics, statistics_table


def records(points, edges):
    joined = np.zeros((len(points), len(points)), bool)
    for i, j in edges:
        joined[i, j] = joined[j, i] = True
    return [
        {
            "image_id": f"v{i}",
            "pose": [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z, 0, 0, 0, 1],
            "included": True,
            "visible": joined[i].tolist(),
            "unobstructed": joined[i].tolist(),
            "height": 1.5,
        }
        for i, (x, y, z) in enumerate(points)
    ]


# A square of 3 m with one diagonal, and a tower of two floors.
SQUARE = records(
    [(0.0, 0.0, 1.5), (3.0, 0.0, 1.5), (3.0, 3.0, 1.5), (0.0, 3.0, 1.5)],
    [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)],
)
TOWER = records([(0.0, 0.0, 1.5), (0.0, 0.0, 4.5), (9.0, 0.0, 4.4)], [(0, 1)])


def test_statistics_of_two_small_graphs():
    statistics = graph_statistics([NavGraph("square", SQUARE), NavGraph("tower", TOWER)])
    assert statistics.buildings == 2
    assert statistics.viewpoints == 3.5
    assert statistics.edge_length == pytest.approx((4 * 3 + 3 * np.sqrt(2) + 3) / 6)
    assert statistics.edge_lengths[1] == pytest.approx(3)
    assert statistics.degree == pytest.approx(12 / 7)
    assert statistics.components == 2
    assert statistics.storeys == 1.5


def test_statistics_without_edges_raise():
    with pytest.raises(ValueError, match="no graphs"):
        graph_statistics([])
    with pytest.raises(ValueError, match="no edges"):
        graph_statistics([NavGraph("point", records([(0.0, 0.0, 1.5)], []))])


def test_table_names_its_folders(tmp_path):
    (tmp_path / "square_connectivity.json").write_text(json.dumps(SQUARE))
    (tmp_path / "scans.txt").write_text("square\n")
    head, line = statistics_table([tmp_path]).splitlines()
    assert "degree" in head
    assert "2.50" in line
    assert str(tmp_path) in line


def test_matterport_graphs_match_the_target_of_the_dense_rule(shared):
    directory = shared / "data" / "matterport" / "connectivity"
    if not directory.is_dir():
        pytest.skip(f"the navigation graphs of Matterport3D are not at {directory}")
    scans = (directory / "scans.txt").read_text().split()[::6]
    statistics = graph_statistics([NavGraph.load(scan, directory) for scan in scans])
    assert 2.1 < statistics.edge_length < 2.4
    assert 3.7 < statistics.degree < 4.4
