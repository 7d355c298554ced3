import functools
import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import score_path, score_paths, summarise
from clipnav.envs.worlds import world_files
from tests.conftest import connectivity_records


def test_scores_are_those_of_the_reference_scorers(shared):
    with gzip.open(shared / "golden" / "metrics.json.gz") as file:
        golden = json.load(file)
    directory = shared / "data" / "matterport" / "connectivity"
    for row in golden["rows"]:
        graph = NavGraph.load(row["scan"], directory)
        scores = score_path(graph, row["prediction"], row["reference"], golden["threshold_m"])
        expected = {name: pytest.approx(value, abs=1e-9) for name, value in row["metrics"].items()}
        assert {name: scores[name] for name in expected} == expected, row["case"]


@pytest.fixture
def corner():
    """s - m - g, 2 m apart in a line, and d, 3 m beside m."""
    places = {"s": (0, 0), "m": (2, 0), "g": (4, 0), "d": (2, 3)}
    return NavGraph("corner", connectivity_records(places, ("sm", "mg", "md")))


@pytest.mark.parametrize("threshold", [3.0, 6.0])
def test_scores_of_a_wrong_turn_worked_out_by_hand(corner, threshold):
    walked, described = ["s", "m", "d"], ["s", "m", "g"]
    # The walk ends 5 m from the goal, by way of m, where it was 2 m from it.
    won = float(threshold == 6.0)
    ndtw = np.exp(-5 / (3 * threshold))
    coverage = (1 + 1 + np.exp(-2 / threshold)) / 3
    expected = {
        "trajectory_length": 5,
        "nav_error": 5,
        "oracle_error": 2,
        "success": won,
        "oracle_success": 1,
        "spl": won * 4 / 5,
        "spl_reference": won * 4 / 5,
        "dtw": 5,
        "ndtw": ndtw,
        "sdtw": won * ndtw,
        "cls": coverage * 4 * coverage / (4 * coverage + abs(4 * coverage - 5)),
        "shortest_path_length": 4,
        "reference_length": 4,
    }
    assert score_path(corner, walked, described, threshold) == pytest.approx(expected)
    many = score_paths([corner, corner], [["s"], walked], [["s", "m"], described], threshold)
    assert {name: column[1] for name, column in many.items()} == pytest.approx(expected)


def all_warpings(rows, columns):
    """Every monotone alignment of two sequences, as lists of index pairs."""
    if rows == 1 or columns == 1:
        yield [(i, j) for i in range(rows) for j in range(columns)]
        return
    for i, j in ((1, 0), (0, 1), (1, 1)):
        for rest in all_warpings(rows - i, columns - j):
            yield [*rest, (rows - 1, columns - 1)]


def test_dtw_is_the_cheapest_of_all_alignments(attic):
    prediction, reference = ["a0", "a1", "a4", "a5"], ["a3", "a4", "a7"]
    costs = [
        sum(attic.geodesic(prediction[i], reference[j]) for i, j in pairs)
        for pairs in all_warpings(len(prediction), len(reference))
    ]
    assert score_path(attic, prediction, reference)["dtw"] == pytest.approx(min(costs))


@pytest.mark.parametrize(("walked", "nav_error"), [(["a0", "a10", "a1"], 0), (["a10"], np.inf)])
def test_a_prediction_with_unconnected_viewpoints_follows_nothing(attic, walked, nav_error):
    scores = score_path(attic, walked, ["a0", "a1"])
    many = score_paths(attic, [walked], [["a0", "a1"]])
    assert {name: column[0] for name, column in many.items()} == scores
    assert scores["trajectory_length"] == (np.inf if len(walked) > 1 else 0)
    assert scores["nav_error"] == nav_error
    assert scores["success"] == scores["oracle_success"] == float(nav_error == 0)
    for name in ("spl", "spl_reference", "ndtw", "sdtw", "cls"):
        assert scores[name] == 0


def test_bad_paths_are_refused(attic):
    with pytest.raises(ValueError, match="at least one viewpoint"):
        score_path(attic, [], ["a0"])
    with pytest.raises(KeyError, match="nowhere"):
        score_path(attic, ["a0", "nowhere"], ["a0"])
    with pytest.raises(ValueError, match=r"no path connects .*a10"):
        score_path(attic, ["a0"], ["a0", "a10"])
    for threshold in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="threshold"):
            score_path(attic, ["a0"], ["a0"], threshold)


@pytest.mark.parametrize("graphs", ["house_26", ["house_26"]])
def test_the_name_of_a_scan_is_no_graph(graphs):
    with pytest.raises(TypeError, match=r"^'house_26' is not a NavGraph; use NavGraph\.load "):
        score_paths(graphs, [["a0"]], [["a0"]])
    with pytest.raises(TypeError, match="is not a NavGraph"):
        score_path(graphs, ["a0"], ["a0"])


@functools.cache
def forward_viewpoint(graph, viewpoint, heading):
    """MatterSim's first navigable location when looking level along a heading; None if none."""
    here = graph.positions[graph.index(viewpoint)]
    seen = []
    for name in graph.neighbours(viewpoint):
        x, y, z = graph.positions[graph.index(name)] - here
        turn = (np.arctan2(x, y) - heading + np.pi) % (2 * np.pi) - np.pi
        if abs(turn) <= np.deg2rad(40):
            seen.append((np.hypot(turn, np.arctan2(z, np.hypot(x, y))), name))
    return min(seen)[1] if seen else None


def random_walk(graph, start, heading_step, actions):
    """R2R's random agent (tasks/R2R/agent.py) once it has turned: five steps forward, turning right
    where there is no way, within a number of actions."""
    path = [start]
    for _ in range(actions):
        ahead = forward_viewpoint(graph, path[-1], np.deg2rad(30 * (heading_step % 12)))
        if ahead is None:
            heading_step += 1
        elif len(path) <= 5:
            path.append(ahead)
    return path


EXACT_RANDOM = {
    "val_seen": (9.618225228906086, 9.565083507104402, 0.14877450980392157, 0.20294117647058824),
    "val_unseen": (9.797, 9.288, 0.1590, 0.2134),
}


@pytest.mark.parametrize("split", EXACT_RANDOM)
def test_baselines_of_r2r_have_the_published_scores(shared, split):
    files = world_files("matterport", shared / "data")
    paths = {e.path_id: e for e in load_episodes("r2r", split, files)}
    shortest, random = [], []
    for episode in paths.values():
        graph = NavGraph.load(episode.scan, files.connectivity_dir)
        start, goal = episode.path[0], episode.path[-1]
        shortest.append(score_path(graph, graph.shortest_path(start, goal), episode.path))
        heading_step = int(np.floor(np.rad2deg(episode.heading) / 30 + 0.5))
        for turns in range(12):
            walk = random_walk(graph, start, heading_step + turns, 30 - turns)
            random.append(score_path(graph, walk, episode.path))
    best = summarise(shortest)
    published_length = {"val_seen": 10.185448644164827, "val_unseen": 9.480}[split]
    assert best["TL"] == pytest.approx(published_length, abs=5e-4)
    assert (best["NE"], best["SR"], best["OSR"], best["SPL"]) == (0, 1, 1, 1)
    mean = summarise(random)
    expected = EXACT_RANDOM[split]
    exact = 1e-9 if split == "val_seen" else 5e-4
    figures = mean["TL"], mean["NE"], mean["SR"], mean["OSR"]
    assert figures == pytest.approx(expected, abs=exact)


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
