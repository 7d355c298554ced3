import itertools
import json
import multiprocessing
import os
import shutil
import time
from dataclasses import astuple

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.graphs import nav_graph
from clipnav.envs.graphs.nav_graph import NavGraph, all_pairs, read_tables, table_path, write_tables


@pytest.fixture
def connectivity(tiny_world):
    return tiny_world / "matterport" / "connectivity"


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


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def own_connectivity(tiny_world, tmp_path):
    """A copy of the graphs, so that no graph of another test is still in memory."""
    return shutil.copytree(
        tiny_world / "matterport" / "connectivity", tmp_path / "own_connectivity"
    )


@pytest.fixture
def forgetful(monkeypatch):
    """Makes every load read the disk, and counts how often a graph is computed."""
    computed = []

    def compute(*arguments):
        computed.append(arguments)
        return all_pairs(*arguments)

    all_pairs = nav_graph.all_pairs
    monkeypatch.setattr(nav_graph, "all_pairs", compute)
    monkeypatch.setattr(nav_graph, "_load", nav_graph._load.__wrapped__)
    return computed


def assert_same_graphs(first, second):
    assert first.viewpoint_ids == second.viewpoint_ids
    tables = "record_indices positions heights edges adjacency edge_lengths distances next_hops"
    for name in (*tables.split(), "teachers"):
        mine, other = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(mine, other)
        assert mine.dtype == other.dtype
        assert not mine.flags.writeable
    for mine, other in zip(*(astuple(graph.candidates) for graph in (first, second)), strict=True):
        np.testing.assert_array_equal(mine, other)
        assert mine.dtype == other.dtype


def test_a_graph_is_computed_once(cache, own_connectivity, forgetful):
    first = NavGraph.load("attic", own_connectivity)
    again = NavGraph.load("attic", own_connectivity)
    assert len(forgetful) == 1
    assert again is not first
    assert_same_graphs(first, again)
    records = json.loads((own_connectivity / "attic_connectivity.json").read_text())
    assert_same_graphs(first, NavGraph("attic", records))


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "folder"])
def test_damage_is_repaired(cache, own_connectivity, forgetful, damage):
    whole = NavGraph.load("attic", own_connectivity)
    (path,) = cache.iterdir()
    raw = bytearray(path.read_bytes())
    if damage == "folder":
        path.unlink()
        path.mkdir()
        with pytest.warns(UserWarning, match="cannot be cached"):
            assert_same_graphs(whole, NavGraph.load("attic", own_connectivity))
        return
    raw[len(raw) // 2] ^= 1
    path.write_bytes({"emptied": b"", "cut": raw[:-7], "flipped": raw}[damage])
    assert_same_graphs(whole, NavGraph.load("attic", own_connectivity))
    assert len(forgetful) == 2
    NavGraph.load("attic", own_connectivity)
    assert len(forgetful) == 2


def write_many(path, value):
    for _ in range(15):
        write_tables(path, {"table": np.full(10_000, value)})


def test_writers_at_once_leave_a_whole_file(cache):
    path = table_path(b"contested")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, value)) for value in (1, 2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        tables = read_tables(path)
        if tables is not None:
            seen.add(tuple(np.unique(tables["table"]).tolist()))
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    tables = read_tables(path)
    assert tables is not None
    assert seen <= {(1,), (2,)}
    assert [file.name for file in cache.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch, own_connectivity):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("CLIPNAV_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="CLIPNAV_CACHE"):
        graph = NavGraph.load("barn", own_connectivity)
    assert len(graph) == 6


def edges_of(adjacency):
    return np.nonzero(adjacency)


def reference_graph(adjacency, positions):
    """The graph as EnvDrop builds it, edge by edge in the order of the connectivity file."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(adjacency)))
    for i, j in np.argwhere(adjacency):
        graph.add_edge(i, j, weight=np.linalg.norm(positions[i] - positions[j]))
    return graph


def assert_same_paths(adjacency, positions):
    origins, targets = edges_of(adjacency)
    lengths = np.linalg.norm(positions[targets] - positions[origins], axis=1)
    distances, next_hops = all_pairs(origins, targets, lengths, len(adjacency))
    graph = reference_graph(adjacency, positions)
    reached = np.zeros(adjacency.shape, dtype=bool)
    for start, paths in networkx.all_pairs_dijkstra_path(graph):
        for goal, path in paths.items():
            assert next_hops[start, goal] == path[min(1, len(path) - 1)], (start, goal)
            length = networkx.path_weight(graph, path, "weight")
            assert distances[start, goal] == pytest.approx(length, abs=1e-12)
            reached[start, goal] = True
    assert np.isinf(distances[~reached]).all()
    assert (next_hops[~reached] == -1).all()
    assert (distances == distances.T).all()


@given(
    columns=st.integers(1, 4),
    rows=st.integers(1, 4),
    kept=st.floats(0.5, 1.0),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_ties_on_lattices_are_those_of_networkx(columns, rows, kept, seed):
    # On a lattice most ways are as long as others; some edges are missing, and the order varies.
    rng = np.random.default_rng(seed)
    positions = np.array([[x, y, 0.0] for x in range(columns) for y in range(rows)])
    positions = rng.permutation(positions)
    gaps = np.abs(positions[:, None] - positions[None]).sum(axis=2)
    kept_edges = np.triu(rng.random(gaps.shape) < kept)
    assert_same_paths((gaps == 1) & (kept_edges | kept_edges.T), positions)


@given(size=st.integers(1, 14), density=st.floats(0.1, 0.9), seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_paths_on_random_graphs_are_those_of_networkx(size, density, seed):
    rng = np.random.default_rng(seed)
    edges = np.triu(rng.random((size, size)) < density, 1)
    # Whole numbers: again there are ties, and some viewpoints share their place.
    assert_same_paths(edges | edges.T, rng.integers(0, 4, (size, 3)).astype(float))
    assert_same_paths(edges | edges.T, rng.uniform(-5, 5, (size, 3)))


def test_a_graph_without_edges():
    empty = np.array([], dtype=np.int64)
    distances, next_hops = all_pairs(empty, empty, np.array([]), 3)
    np.testing.assert_array_equal(distances, np.where(np.eye(3), 0.0, np.inf))
    np.testing.assert_array_equal(next_hops, np.where(np.eye(3), np.arange(3), -1))
