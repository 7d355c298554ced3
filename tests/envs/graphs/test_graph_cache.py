import json
import multiprocessing
import shutil

import numpy as np
import pytest

from clipnav.envs.graphs import nav_graph
from clipnav.envs.graphs.nav_graph import NavGraph, read_tables, table_path, write_tables


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def connectivity(tiny_world, tmp_path):
    """A copy of the graphs, so that no graph of another test is still in memory."""
    return shutil.copytree(tiny_world / "matterport" / "connectivity", tmp_path / "connectivity")


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
    for name in tables.split():
        mine, other = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(mine, other)
        assert mine.dtype == other.dtype
        assert not mine.flags.writeable


def test_a_graph_is_computed_once(cache, connectivity, forgetful):
    first = NavGraph.load("attic", connectivity)
    again = NavGraph.load("attic", connectivity)
    assert len(forgetful) == 1
    assert again is not first
    assert_same_graphs(first, again)
    records = json.loads((connectivity / "attic_connectivity.json").read_text())
    assert_same_graphs(first, NavGraph("attic", records))


@pytest.mark.parametrize("damage", ["emptied", "cut", "flipped", "folder"])
def test_damage_is_repaired(cache, connectivity, forgetful, damage):
    whole = NavGraph.load("attic", connectivity)
    (path,) = cache.iterdir()
    raw = bytearray(path.read_bytes())
    if damage == "folder":
        path.unlink()
        path.mkdir()
        with pytest.warns(UserWarning, match="cannot be cached"):
            assert_same_graphs(whole, NavGraph.load("attic", connectivity))
        return
    raw[len(raw) // 2] ^= 1
    path.write_bytes({"emptied": b"", "cut": raw[:-7], "flipped": raw}[damage])
    assert_same_graphs(whole, NavGraph.load("attic", connectivity))
    assert len(forgetful) == 2
    NavGraph.load("attic", connectivity)
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


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch, connectivity):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("CLIPNAV_CACHE", str(blocked))
    with pytest.warns(UserWarning, match="CLIPNAV_CACHE"):
        graph = NavGraph.load("barn", connectivity)
    assert len(graph) == 6
