"""Reports of comparisons: means, intervals and tables."""

import json
import math

import numpy as np
import pytest

from clipnav.envs.metrics import (
    aligned,
    bootstrap_interval,
    score_path,
    score_paths,
    seed_difference,
    summarise,
    summarise_groups,
)
from clipnav.envs.metrics.comparison_report import (
    make_report,
    markdown_table,
    seed_intervals,
    text_table,
    to_json,
)


def scores(success, split="val_unseen"):
    """Return scores of two instructions for each path."""
    return {
        split: {
            f"{path}_{k}": {"building": path, "SR": value, "SPL": value / 2, "nDTW": 0.5}
            for path, value in enumerate(success)
            for k in range(2)
        }
    }


METRICS = ("SR", "SPL", "nDTW")
ROWS = {
    "a": [scores([0.0, 1.0, 0.0, 1.0]), scores([0.0, 1.0, 1.0, 1.0])],
    "b": [scores([0.0, 0.0, 0.0, 1.0]), scores([0.0, 1.0, 0.0, 1.0])],
    "forward": [scores([0.0, 0.0, 0.0, 1.0])],
}


def test_rows_have_their_seeds_and_their_difference_from_the_first():
    rows = make_report(ROWS, METRICS).figures["val_unseen"]
    found = rows["a"]["SR"]
    assert found.runs == (0.5, 0.75)
    # Two values a quarter apart, one degree of freedom: t = 12.7062.
    assert found.over_seeds.high == pytest.approx(0.625 + 12.7062 * 0.125, abs=1e-4)
    assert found.against_first is None
    first = np.repeat([[0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]], 2, axis=1)
    second = np.repeat([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]], 2, axis=1)
    buildings = np.repeat(range(4), 2).tolist()
    assert rows["b"]["SR"].against_first == seed_difference(first, second, buildings)
    halves = second.mean(0) / 2
    assert rows["b"]["SPL"].over_clusters == bootstrap_interval(halves, clusters=buildings)
    assert math.isnan(rows["forward"]["SR"].over_seeds.low)


def test_tables_contain_means_and_differences():
    report = make_report(ROWS, METRICS)
    lines = text_table(report).splitlines()
    assert lines[1].split()[:6] == ["val_unseen", "a", "2", "62.5", "±", "158.8"]
    assert lines[3].split()[:5] == ["val_unseen", "forward", "1", "25.0", "12.5"]
    assert "-25.0 [" in lines[2]
    assert (
        markdown_table(report).splitlines()[2].startswith("| val_unseen | a | 2 | 62.5 ± 158.8 |")
    )
    kept = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert kept["val_unseen"]["a"]["SR"]["runs"] == [0.5, 0.75]
    assert kept["val_unseen"]["a"]["SR"]["over_buildings"]["mean"] == 0.625
    assert kept["val_unseen"]["forward"]["SR"]["over_seeds"]["low"] is None
    assert kept["val_unseen"]["a"]["SR"]["against_first"] is None
    assert seed_intervals(report)["SR"]["val_unseen"]["b"].mean == 0.375


def test_rows_of_other_items_are_refused():
    with pytest.raises(ValueError, match="b was scored on other items of val_unseen"):
        make_report({"a": [scores([1.0, 0.0])], "b": [scores([1.0])]}, METRICS)


def test_rows_without_a_split_of_the_first_row_are_refused():
    rows = {"a": [scores([1.0]) | scores([1.0], "val_seen")], "b": [scores([1.0])]}
    with pytest.raises(ValueError, match="b was not scored on val_seen, as the first row was"):
        make_report(rows, METRICS)


def test_scores_that_lack_the_building_are_refused():
    old = {"val": {"1_0": {"path": 1, "SR": 1.0}}}
    with pytest.raises(ValueError, match=r"a: its scores on val lack building, .* scores\.json"):
        make_report({"a": [old]}, ["SR"])


def test_rows_of_single_trainings_have_differences_without_intervals():
    rows = {"a": [scores([0.0, 1.0, 0.0, 1.0])], "b": [scores([0.0, 0.0, 0.0, 1.0])]}
    report = make_report(rows, ["SR"])
    assert text_table(report).splitlines()[2].split() == ["val_unseen", "b", "1", "25.0", "-25.0"]
    assert to_json(report)["val_unseen"]["b"]["SR"]["against_first"]["high"] is None


def test_clusters_can_be_images():
    rows = {
        name: [
            {"val": {str(k): {"image": k // 2, "accuracy": v} for k, v in enumerate(values)}}
            for values in runs
        ]
        for name, runs in (("a", [[1.0, 0.0, 1.0, 1.0], np.ones(4)]), ("b", [np.ones(4)] * 2))
    }
    report = make_report(rows, ["accuracy"], "image")
    first = np.array([[1.0, 0, 1, 1], [1, 1, 1, 1]])
    expected = seed_difference(first, np.ones((2, 4)), [0, 0, 1, 1])
    assert report.figures["val"]["b"]["accuracy"].against_first == expected
    assert "difference from a on the same images" in text_table(report)
    assert to_json(report)["val"]["a"]["accuracy"]["over_images"]["mean"] == 0.875


def test_texts_go_to_the_left_and_figures_to_the_right():
    rows = [["split", "who", "SR"], ["val", "follower", "7.25"], ["a", "b", ""]]
    assert aligned(rows, texts=2) == "split  who         SR\nval    follower  7.25\na      b"
    assert aligned([["a", "b"], ["long", "12"]]) == "a      b\nlong  12"


def test_summaries_are_means_per_group(attic):
    scores = [score_path(attic, ["a0"], ["a0", goal]) for goal in ("a1", "a2", "a4", "a8")]
    summary = summarise(scores)
    assert summary["NE"] == pytest.approx(np.mean([s["nav_error"] for s in scores]))
    assert summary["episodes"] == 4
    assert set(summary) >= {"TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW"}
    groups = summarise_groups(scores, ["hi", "en", "hi", "en"])
    assert list(groups) == ["en", "hi"]
    assert groups["hi"] == summarise(scores[::2])
    with pytest.raises(ValueError, match="no episode"):
        summarise([])


def test_columns_and_rows_have_the_same_summary(attic):
    references = [["a0", goal] for goal in ("a1", "a2", "a4", "a8")]
    columns = score_paths(attic, [["a0", "a1"]] * 4, references)
    rows = [score_path(attic, ["a0", "a1"], reference) for reference in references]
    assert summarise(columns) == pytest.approx(summarise(rows))
    groups = ["val_seen", "val_unseen", "val_seen", "val_seen"]
    by_column, by_row = summarise_groups(columns, groups), summarise_groups(rows, groups)
    assert by_column.keys() == by_row.keys()
    for group, summary in by_column.items():
        assert summary == pytest.approx(by_row[group])
    with pytest.raises(ValueError, match="3 groups for 4 paths"):
        summarise_groups(columns, groups[1:])
