import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import score_path, score_paths

CONNECTED = {"attic": [f"a{i}" for i in range(9)], "barn": [f"b{i}" for i in range(6)]}


@st.composite
def scored_pairs(draw):
    """A scan, any sequence of its viewpoints as prediction, and one as reference."""
    scan = draw(st.sampled_from(sorted(CONNECTED)))
    viewpoints = st.sampled_from(CONNECTED[scan])
    prediction = draw(st.lists(viewpoints, min_size=1, max_size=50))
    return scan, prediction, draw(st.lists(viewpoints, min_size=1, max_size=20))


splits = st.lists(scored_pairs(), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def score(attic, barn):
    """Scores pairs of one split: columns of `score_paths`."""
    graphs = {"attic": attic, "barn": barn}

    def columns(pairs, threshold=3.0):
        buildings = [graphs[scan] for scan, _, _ in pairs]
        return score_paths(buildings, [p for _, p, _ in pairs], [r for _, _, r in pairs], threshold)

    columns.graphs = graphs
    return columns


@settings(deadline=None, max_examples=25)
@given(pairs=splits, threshold=st.floats(0.1, 20))
def test_columns_are_the_scores_of_single_paths(score, pairs, threshold):
    columns = score(pairs, threshold)
    for row, (scan, prediction, reference) in enumerate(pairs):
        single = score_path(score.graphs[scan], prediction, reference, threshold)
        assert single.keys() == columns.keys()
        for name, value in single.items():
            assert columns[name][row] == pytest.approx(value, rel=0, abs=1e-9), name


@settings(deadline=None, max_examples=25)
@given(pair=scored_pairs(), data=st.data())
def test_staying_changes_nothing_but_the_warping(score, pair, data):
    scan, prediction, reference = pair
    stays = data.draw(
        st.lists(st.integers(1, 4), min_size=len(prediction), max_size=len(prediction))
    )
    turning = [v for v, times in zip(prediction, stays, strict=True) for _ in range(times)]
    columns = score([pair, (scan, turning, reference)])
    for name in columns.keys() - {"dtw", "ndtw", "sdtw"}:
        assert columns[name][1] == pytest.approx(columns[name][0], abs=1e-12), name
    assert columns["dtw"][1] >= columns["dtw"][0] - 1e-12
    # Staying where the reference stays is free: each entry of one pairs with one of the other.
    again = score([(scan, turning, turning), (scan, turning, prediction)])
    assert (again["ndtw"] == 1).all()


def test_more_paths_than_fit_one_batch(attic, score):
    rng = np.random.default_rng(5)
    pairs = [
        ("attic", [f"a{i}" for i in rng.integers(9, size=rng.integers(1, 30))], ["a0", "a1", "a4"])
        for _ in range(5000)
    ]
    columns = score(pairs)
    for row in rng.integers(5000, size=40):
        single = score_path(attic, *pairs[row][1:])
        assert {n: columns[n][row] for n in single} == pytest.approx(single, rel=0, abs=1e-9)


def test_golden_rows_at_once(shared):
    with gzip.open(shared / "golden" / "metrics.json.gz") as file:
        golden = json.load(file)
    directory = shared / "data" / "matterport" / "connectivity"
    rows = golden["rows"]
    columns = score_paths(
        [NavGraph.load(row["scan"], directory) for row in rows],
        [row["prediction"] for row in rows],
        [row["reference"] for row in rows],
        golden["threshold_m"],
    )
    for name in rows[0]["metrics"]:
        expected = [row["metrics"][name] for row in rows]
        np.testing.assert_allclose(columns[name], expected, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(
    ("predictions", "references", "error", "named"),
    [
        ([["a0"], []], [["a0"], ["a1"]], ValueError, "prediction 1 is empty"),
        ([["a0"], ["a1"]], [[], ["a1"]], ValueError, "reference 0 is empty"),
        ([["a0"], ["a1", "b1"]], [["a0"], ["a1"]], KeyError, "prediction 1: .*'attic'.*'b1'"),
        ([["a0"]], [["a9"]], KeyError, "reference 0: .*'a9'"),
        ([["a0"]], [["a0", "a10"]], ValueError, "reference 0: no path connects"),
        ([["a0"]], [["a0"], ["a1"]], ValueError, "1 predictions, 2 references"),
        ([], [], ValueError, "at least 1"),
    ],
)
def test_bad_paths_are_named(attic, predictions, references, error, named):
    with pytest.raises(error, match=named):
        score_paths(attic, predictions, references)


def test_walking_to_where_no_way_leads_scores_nothing(attic):
    columns = score_paths(attic, [["a0", "a10"]], [["a0", "a1"]])
    assert columns["nav_error"][0] == columns["trajectory_length"][0] == np.inf
    for name in ("success", "spl", "ndtw", "sdtw", "cls"):
        assert columns[name][0] == 0, name
