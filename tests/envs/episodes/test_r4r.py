import json
from itertools import pairwise

import networkx
import numpy as np
import pytest

from clipnav.envs.episodes import load_episodes
from clipnav.envs.episodes.r4r import join_paths, write_r4r
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.worlds import world_files


def test_paths_are_joined_where_one_ends_near_the_start_of_the_next(files):
    joined = join_paths("train", files)
    records = json.loads(files.annotations("r2r", "train").read_text())
    graph = NavGraph.load("attic", files.connectivity_dir).to_networkx()
    expected = []
    for first in records:
        for second in records:
            ends = first["path"][-1], second["path"][0]
            length = networkx.dijkstra_path_length(graph, *ends)
            if length <= 3.0:
                between = networkx.dijkstra_path(graph, *ends)
                expected.append(
                    {
                        "path_id": len(expected),
                        "first_path_id": first["path_id"],
                        "second_path_id": second["path_id"],
                        "path": first["path"][:-1] + between + second["path"][1:],
                        "distance": pytest.approx(10.0 + length),
                        "heading": first["heading"],
                    }
                )
    assert 5 < len(expected) < 40
    assert [{name: record[name] for name in expected[0]} for record in joined] == expected
    for record in joined:
        ends = record["path"][0], record["path"][-1]
        assert record["scan"] == "attic"
        assert (record["shortest_path"][0], record["shortest_path"][-1]) == ends
        length = networkx.dijkstra_path_length(graph, *ends)
        assert record["shortest_path_distance"] == pytest.approx(length)
    first, second = (
        next(r for r in records if r["path_id"] == joined[0][f"{position}_path_id"])
        for position in ("first", "second")
    )
    assert joined[0]["instructions"] == [
        one + other for one in first["instructions"] for other in second["instructions"]
    ]


def test_the_file_loads_as_a_dataset(own_files):
    path = write_r4r("train", own_files)
    assert path == own_files.annotations("r4r", "train")
    joined = join_paths("train", own_files)
    assert json.loads(path.read_text()) == joined
    assert len(load_episodes("r4r", "train", own_files)) == 4 * len(joined)


def test_errors_name_the_damaged_record_of_r2r(own_world, own_files):
    path = own_world / "r2r" / "R2R_train.json"
    records = json.loads(path.read_text())
    short = {name: value for name, value in records[0].items() if name != "heading"}
    path.write_text(json.dumps([short]))
    with pytest.raises(ValueError, match=r"record 0 \(path_id 100\): field 'heading' is missing"):
        write_r4r("train", own_files)
    records[2]["path"][1] = "z9"
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=r"R2R_train\.json: record 2 \(path_id 102\): .*'z9'"):
        write_r4r("train", own_files)
    path.write_text(json.dumps(records[:1]))
    with pytest.raises(ValueError, match=r"R2R_train\.json: no two paths can be joined"):
        write_r4r("train", own_files)
    assert not (own_world / "r4r").exists()


def test_val_seen_has_the_published_size(shared):
    """Compare with the README of google-research `r4r`."""
    joined = join_paths("val_seen", world_files("matterport", shared / "data"))
    assert len(joined) == 115
    assert sum(len(record["instructions"]) for record in joined) == 1_035
    assert np.mean([len(record["path"]) for record in joined]) == pytest.approx(12.2173913043)
    assert np.mean([len(record["shortest_path"]) for record in joined]) == pytest.approx(7.0)
    assert np.mean([record["distance"] for record in joined]) == pytest.approx(20.36, abs=0.005)
    for record in joined:
        assert all(before != after for before, after in pairwise(record["path"]))


def test_splits_with_secret_ends_cannot_be_joined(own_files):
    with pytest.raises(ValueError, match=r"R2R_test\.json: R4R has no split 'test', because"):
        join_paths("test", own_files)
