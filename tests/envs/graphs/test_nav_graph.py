import itertools
import json
import os
import shutil
import time

import networkx
import numpy as np
import pytest

from clipnav.envs.graphs.nav_graph import NavGraph


@pytest.fixture
def connectivity(tiny_world):
    return tiny_world / "matterport" / "connectivity"


def test_keeps_included_viewpoints_only(connectivity):
    graph = NavGraph.load("attic", connectivity)
    assert graph.viewpoint_ids == (*(f"a{i}" for i in range(9)), "a10")
    assert graph.record_indices.tolist() == [*range(9), 10]
    assert "a9" not in graph
    assert "a9" not in graph.neighbours("a7")
    assert graph.neighbours("a0") == ("a1", "a3", "a4")
    assert graph.neighbours("a10") == ()


def test_distances_and_paths_are_those_of_networkx(connectivity):
    for scan in ("attic", "barn"):
        graph = NavGraph.load(scan, connectivity)
        reference = graph.to_networkx()
        lengths = dict(networkx.all_pairs_dijkstra_path_length(reference))
        for a, b in itertools.product(graph.viewpoint_ids, repeat=2):
            assert graph.geodesic(a, b) == pytest.approx(lengths[a].get(b, np.inf), abs=1e-12)
            if b in lengths[a]:
                path = graph.shortest_path(a, b)
                assert path[0] == a
                assert path[-1] == b
                assert all(y in graph.neighbours(x) for x, y in itertools.pairwise(path))
                assert graph.path_length(path) == pytest.approx(lengths[a][b], abs=1e-12)
        assert (graph.distances == graph.distances.T).all()


def test_no_path_to_an_isolated_viewpoint(connectivity):
    graph = NavGraph.load("attic", connectivity)
    assert graph.geodesic("a0", "a10") == np.inf
    with pytest.raises(ValueError, match=r"attic.*no path from 'a0' to 'a10'"):
        graph.shortest_path("a0", "a10")
    assert graph.shortest_path("a10", "a10") == ["a10"]


def test_errors_name_unknown_viewpoints_and_scans(connectivity):
    graph = NavGraph.load("attic", connectivity)
    for name in ("a9", "nowhere"):
        with pytest.raises(KeyError, match=f"attic.*{name}"):
            graph.neighbours(name)
    with pytest.raises(FileNotFoundError, match=r"cellar_connectivity\.json"):
        NavGraph.load("cellar", connectivity)


def test_a_changed_file_is_read_again(connectivity, tmp_path):
    path = shutil.copy(connectivity / "barn_connectivity.json", tmp_path)
    before = NavGraph.load("barn", tmp_path)
    assert NavGraph.load("barn", tmp_path) is before
    with open(path) as file:
        records = json.load(file)
    records[0]["pose"][3] += 1.0
    with open(path, "w") as file:
        json.dump(records, file)
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 1))
    after = NavGraph.load("barn", tmp_path)
    assert after.positions[0, 0] == pytest.approx(before.positions[0, 0] + 1.0)


def test_real_graphs_have_the_published_size(shared):
    directory = shared / "data" / "matterport" / "connectivity"
    scans = (directory / "scans.txt").read_text().split()
    graphs = [NavGraph.load(scan, directory) for scan in scans]
    assert len(graphs) == 90
    assert sum(len(graph) for graph in graphs) == 10_567
    assert sum(int(graph.adjacency.sum()) for graph in graphs) == 2 * 21_468
    assert sum(int((~graph.adjacency.any(axis=1)).sum()) for graph in graphs) == 8
