import json
import math
from itertools import product

import numpy as np
import pytest

from clipnav.envs.episodes.annotations import PathRecord
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.building.sets import MINI, STANDARD, HouseSet
from clipnav.envs.houses.statistics import (
    ROWS,
    TrigramModel,
    annotations_beside,
    folder_statistics,
    graph_statistics,
    path_statistics,
    statistics_table,
    text_statistics,
)


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


# North, north, then east and up the stairs; one edge passes v1, and v4 is a dead end beside it.
CORNER = records(
    [(0, 0, 1.5), (0, 2, 1.5), (0, 4, 1.5), (3, 4, 2.5), (0.5, 2, 1.5)],
    [(0, 1), (1, 2), (0, 2), (2, 3), (0, 4)],
)


def path(instructions, *viewpoints):
    return PathRecord("corner", 1, viewpoints, 0.0, instructions)


def test_graphs():
    statistics = graph_statistics([NavGraph("corner", CORNER)])
    assert statistics["viewpoints of a building"] == 5
    assert statistics["neighbours of a viewpoint"] == 2
    assert statistics["length of an edge, m"] == pytest.approx(
        (2 + 2 + 4 + math.sqrt(10) + math.sqrt(4.25)) / 5
    )
    assert statistics["dead ends, % of viewpoints"] == 40
    assert statistics["edges that pass a third viewpoint within 15 degrees, %"] == 20
    assert statistics["edges on stairs, %"] == 20


def test_paths():
    graphs = {"corner": NavGraph("corner", CORNER)}
    statistics = path_statistics(graphs, [path(("",), "v0", "v1", "v2", "v3")])
    assert statistics["edges of a path"] == 3
    assert statistics["length of a path, m"] == pytest.approx(4 + math.sqrt(10))
    assert statistics["candidates of a step"] == pytest.approx((3 + 2 + 3) / 3)
    # From v0, v1, v2 and v4 are in the same of 12 directions.
    assert statistics["steps whose candidate shares its view with another, %"] == pytest.approx(
        100 / 3
    )
    assert statistics["change of heading after the first step, median degrees"] == 45
    assert statistics["changes of heading above 60 degrees, %"] == 50
    assert statistics["next viewpoint is the straightest, %"] == 100
    assert statistics["paths with stairs, %"] == 100
    assert statistics["viewpoints within 3 m of the goal, %"] == 20


def test_texts():
    graphs = {"corner": NavGraph("corner", CORNER)}
    train = [path(("Leave the red bedroom.", "Turn right and stop"), "v0", "v1", "v2", "v3")]
    others = [
        path(("Go straight, then turn right at the blue sofa", "Leave it"), "v0", "v1", "v2", "v3")
    ]
    statistics = text_statistics(graphs, train, others)
    assert statistics["words of a text"] == 5.5
    assert statistics["vocabulary of the training texts"] == 8
    assert statistics["words that occur once in them"] == 8
    unknown = "go straight then at blue sofa it".split()
    assert statistics["words of other texts that are not in them, %"] == 100 * len(unknown) / 11
    assert statistics["patterns of clauses, % of the training clauses"] == 100
    assert statistics["words left and right of a text"] == 0.5
    assert statistics["words left and right per turn above 45 degrees"] == 0.5
    assert statistics["texts without them among those with such a turn, %"] == 50
    assert statistics["texts with a colour, %"] == 50
    assert statistics["texts with straight, forward or ahead, %"] == 50
    assert statistics["names of rooms of a text"] == 0


def test_the_trigram_model_is_a_distribution():
    texts = ["go left".split(), "go right".split(), "stop here go left".split()]
    model = TrigramModel(texts)
    words = ("go", "left", "right", "stop", "here", "</s>", "unknown")
    for context in product(("<s>", "go", "left", "unknown"), repeat=2):
        assert sum(model.probability(*context, word) for word in words) == pytest.approx(1)
    # Seen twice of three times; the rest is what the model of pairs gives, and so on.
    lower = model.probability("unknown", "go", "left")
    assert model.probability("<s>", "go", "left") == pytest.approx((0.25 + 0.75 * 2 * lower) / 2)
    assert model.perplexity(texts) < 3


def test_no_graphs_and_no_edges_are_refused():
    with pytest.raises(ValueError, match="no graphs"):
        graph_statistics([])
    with pytest.raises(ValueError, match="no edges"):
        graph_statistics([NavGraph("point", records([(0.0, 0.0, 1.5)], []))])


def test_the_table_marks_what_is_not_like_r2r(tmp_path):
    graphs = tmp_path / "connectivity"
    graphs.mkdir()
    (graphs / "corner_connectivity.json").write_text(json.dumps(CORNER))
    (graphs / "scans.txt").write_text("corner\n")
    assert annotations_beside(graphs) is None
    table = statistics_table({graphs: None})
    assert str(graphs) in table
    assert "2.00 *" in next(line for line in table.splitlines() if "neighbours" in line)
    record = {"scan": "corner", "path_id": 1, "path": ["v0", "v1"], "heading": 0.0}
    for split in ("train", "val_unseen"):
        file = tmp_path / f"R2R_{split}.json"
        file.write_text(json.dumps([{**record, "instructions": ["Go left."]}]))
    # A path of one edge has no turns.
    assert annotations_beside(graphs) == tmp_path


def test_the_ranges_are_those_of_r2r(shared):
    graphs = shared / "data" / "matterport" / "connectivity"
    if not graphs.is_dir():
        pytest.skip(f"the navigation graphs of Matterport3D are not at {graphs}")
    annotations = shared / "data" / "r2r"
    assert "*" not in statistics_table({graphs: annotations})


@pytest.mark.parametrize("house_set", [MINI, STANDARD], ids=lambda house_set: house_set.name)
def test_built_in_houses_are_like_matterport3d_and_their_texts_like_r2r(house_set: HouseSet):
    if not (house_set.connectivity_dir / "scans.txt").is_file():
        pytest.skip(f"not built: clipnav build-houses --set {house_set.name}")
    found = folder_statistics(house_set.connectivity_dir, house_set.data_dir)
    assert not [row.name for row in ROWS if row.cell(found[row.name]).endswith("*")]
