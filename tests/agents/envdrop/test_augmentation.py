import itertools
from collections import Counter

import numpy as np
import pytest

from clipnav.agents.envdrop.augmentation import sample_paths
from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_graph import NavGraph
from tests.conftest import connectivity_records


def grid(scan, size=5):
    """Return a grid of viewpoints 2 m apart, with edges between neighbours, and a few others."""
    rng = np.random.default_rng(0)
    cells = [(x, y) for x in range(size) for y in range(size)]
    names = {cell: f"{scan}-{cell[0]}{cell[1]}" for cell in cells}
    places = {names[x, y]: 2.0 * np.array([x, y]) + rng.uniform(-0.2, 0.2, 2) for x, y in cells}
    edges = {
        (names[x, y], names[a, b])
        for x, y in cells
        for a, b in cells
        if abs(x - a) + abs(y - b) == 1
    }
    return NavGraph(scan, connectivity_records(places, edges))


GRAPHS = {scan: grid(scan) for scan in ("a", "b")}


def episode(scan, path, number=0):
    return Episode(f"{number}_0", number, scan, tuple(path), 0.0, "Go.", "en")


def shortest(graph, moves, count):
    """Return shortest paths with a number of moves."""
    ends = itertools.permutations(graph.viewpoint_ids, 2)
    paths = (graph.shortest_path(start, goal) for start, goal in ends)
    return [tuple(path) for path in itertools.islice(paths, 300) if len(path) == moves + 1][:count]


def around(graph):
    """Return detours of four moves whose ends are two moves apart."""
    for start, middle, goal in itertools.permutations(graph.viewpoint_ids, 3):
        first, second = graph.shortest_path(start, middle), graph.shortest_path(middle, goal)
        path = (*first, *second[1:])
        ends = len(graph.shortest_path(start, goal)) - 1
        if len(set(path)) == len(path) == 5 and ends == 2:
            yield path


def train_split():
    short = [episode("a", path) for path in shortest(GRAPHS["a"], 4, 6)]
    return short + [episode("b", path) for path in shortest(GRAPHS["b"], 3, 2)]


def test_sampled_paths_are_shortest_paths_of_similar_size():
    train = train_split()
    sampled = sample_paths(GRAPHS, train, [], 100, seed=1)
    assert len(set(sampled)) == len(sampled) == 100
    for scan, path in sampled:
        assert path == tuple(GRAPHS[scan].shortest_path(path[0], path[-1]))
    moves = Counter(len(path) - 1 for _, path in sampled)
    assert set(moves) == {3, 4}
    assert moves[4] / 100 == pytest.approx(0.75, abs=0.15)
    assert {scan for scan, _ in sampled} == {"a", "b"}
    lengths = [GRAPHS[scan].path_length(path) for scan, path in sampled]
    known = [GRAPHS[e.scan].path_length(e.path) for e in train]
    assert min(lengths) >= min(known) - 0.01
    assert max(lengths) <= max(known) + 0.01


def test_held_out_paths_are_excluded():
    train = train_split()
    everything = sample_paths(GRAPHS, train, [], 10_000, seed=1)
    secret = [episode(scan, path) for scan, path in everything[::2]]
    left = sample_paths(GRAPHS, train, secret, 10_000, seed=1)
    assert set(left) == set(everything[1::2])
    # Ways round are drawn at random, of about a hundred.
    train = [episode("a", path) for path in itertools.islice(around(GRAPHS["a"]), 2)]
    drawn, others = (sample_paths(GRAPHS, train, [], 60, seed) for seed in (1, 2))
    assert set(drawn) & set(others)
    left = sample_paths(GRAPHS, train, [episode(*path) for path in drawn], 60, seed=2)
    assert len(left) > 20
    assert not set(drawn) & set(left)


def test_detours_are_sampled_if_the_training_split_has_them():
    detours = list(itertools.islice(around(GRAPHS["a"]), 30))
    train = [episode("a", path) for path in detours]
    sampled = sample_paths(GRAPHS, train, [], 20, seed=1)
    assert len(set(sampled)) == len(sampled) == 20
    for scan, path in sampled:
        graph = GRAPHS[scan]
        assert scan == "a"
        assert len(set(path)) == len(path) == 5
        assert graph.path_length(path) > graph.geodesic(path[0], path[-1]) + 0.001
        assert all(b in graph.neighbours(a) for a, b in itertools.pairwise(path))


def test_same_seed_same_paths():
    train = train_split()
    assert sample_paths(GRAPHS, train, [], 30, 5) == sample_paths(GRAPHS, train, [], 30, 5)
    assert sample_paths(GRAPHS, train, [], 30, 5) != sample_paths(GRAPHS, train, [], 30, 6)
