import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.graphs.nav_graph import all_pairs


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
