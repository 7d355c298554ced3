import json

import pytest

from clipnav.experiments.declarations import Column, Experiment
from clipnav.experiments.records import Difference, Uncertain
from clipnav.experiments.rows import read_rows
from clipnav.storage.errors import UserError


def rows_of(folder, columns, rows, seeds=(0,), base=""):
    experiment = Experiment(
        page="p.md",
        columns=columns,
        steps=("demo",),
        rows=rows,
        seeds=seeds,
        budget="1 s",
        base=base,
    )
    return read_rows(experiment, folder)


def test_metrics_have_the_units_of_tables(tmp_path):
    results = {"results": {"val_unseen/en": {"follower": {"SR": 0.5, "TL": 12.5}}}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    row = ("English", "results.json#results#val_unseen/en#follower")
    assert rows_of(tmp_path, ("split", "SR", "TL"), (row,)) == (("English", 50.0, 12.5),)


def test_several_seeds_become_a_mean_with_an_interval(tmp_path):
    for seed, value in ((3, 0.4), (4, 0.6)):
        (tmp_path / f"run-{seed}.json").write_text(json.dumps({"SR": value}))
    ((_, cell),) = rows_of(tmp_path, ("a", "SR"), (("x", "run-{seed}.json#SR"),), seeds=(3, 4))
    assert isinstance(cell, Uncertain)
    # Student's t for one degree of freedom is 12.706; the standard error of the mean is 10.
    assert (cell.mean, cell.half) == pytest.approx((50, 127.06), abs=0.01)


def test_values_that_are_no_numbers_have_no_mean(tmp_path):
    for seed, value in ((3, 0.4), (4, None)):
        (tmp_path / f"run-{seed}.json").write_text(json.dumps({"SR": value}))
    with pytest.raises(UserError, match=r"'run-\{seed\}.json#SR' is not a number for each seed"):
        rows_of(tmp_path, ("a", "SR"), (("x", "run-{seed}.json#SR"),), seeds=(3, 4))


def test_intervals_of_comparisons(tmp_path):
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6}
    figure = {"over_seeds": interval, "against_first": None}
    other = {
        "over_seeds": {"mean": 0.25, "low": None, "high": None},
        "against_first": {"mean": -0.25, "low": -0.5, "high": 0.125},
    }
    comparison = {"val": {"first": {"SPL": figure}, "other": {"SPL": other}}}
    (tmp_path / "comparison.json").write_text(json.dumps(comparison))
    columns = ("row", "SPL", Column("less", key="SPL#against_first"))
    rows = tuple((name, f"comparison.json#val#{name}") for name in ("first", "other"))
    first, second = rows_of(tmp_path, columns, rows)
    assert isinstance(first[1], Uncertain)
    assert (first[1].mean, first[1].half) == pytest.approx((50, 10))
    assert first[2] is None
    assert second == ("other", 25.0, Difference(-25.0, -50.0, 12.5))


def test_figures_of_benchmarks(tmp_path):
    figures = {"benchmark": "x", "figures": {"a, b: c": {"value": 3.5, "unit": "s"}}}
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    rows = (("label", "#a, b: c", ""),)
    columns = ("", Column("s", factor=1000), "empty")
    assert rows_of(tmp_path, columns, rows, base="figures.json#figures") == (
        ("label", 3500.0, None),
    )


def test_a_missing_value_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"x": {"y": 1}}')
    with pytest.raises(ValueError, match=r"a\.json: there is no 'x / z'; correct the declaration"):
        rows_of(tmp_path, ("a", "b"), (("label", "a.json#x#z"),))
    with pytest.raises(ValueError, match=r"a\.json: 'x' is neither a number nor an interval"):
        rows_of(tmp_path, ("a", "b"), (("label", "a.json#x"),))
    with pytest.raises(FileNotFoundError):
        rows_of(tmp_path, ("a", "b"), (("label", "gone.json#x"),))
