"""Values of tables from the files of steps, and the machine of a measurement."""

import json
import os

import pytest

from clipnav.experiments.declarations import Column, Experiment
from clipnav.experiments.records import machine, read_rows
from clipnav.storage.errors import UserError
from clipnav.training.log import RunLog


@pytest.fixture
def rows_of(tmp_path, monkeypatch):
    """Function from columns and rows to their cells, read from the folder of outputs."""
    monkeypatch.setattr("clipnav.experiments.records.OUTPUTS", tmp_path.parent)

    def read(columns, rows, seeds=(0,)):
        experiment = Experiment("p.md", columns, ("demo",), rows, "1 s", seeds)
        return read_rows(tmp_path.name, experiment)

    return read


def test_metrics_have_the_units_of_tables(tmp_path, rows_of):
    results = {"results": {"val_unseen/en": {"follower": {"SR": 0.5, "TL": 12.5}}}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    row = ("English", "results.json#results#val_unseen/en#follower")
    assert rows_of(("split", "SR", "TL"), (row,)) == (("English", 50.0, 12.5),)


def test_several_seeds_become_a_mean_with_an_interval(tmp_path, rows_of):
    for seed, value in ((3, 0.4), (4, 0.6)):
        (tmp_path / f"run-{seed}.json").write_text(json.dumps({"SR": value}))
    ((_, cell),) = rows_of(("a", "SR"), (("x", "run-{seed}.json#SR"),), seeds=(3, 4))
    # Student's t for one degree of freedom is 12.706; the standard error of the mean is 10.
    assert cell == pytest.approx((50, 127.06), abs=0.01)


def test_scores_during_a_training_are_read_from_its_log(tmp_path, rows_of):
    for seed in (3, 4):
        log = RunLog(tmp_path / f"run-{seed}", 0)
        for iteration in (50, 100):
            log.write("val_seen", iteration, {"SR": 0.9})
            log.write("val_unseen", iteration, {"SR": seed * iteration / 1000})
    reference = "run-{seed}/metrics.jsonl#val_unseen#100#SR"
    ((_, (mean, _)),) = rows_of(("a", "SR"), (("x", reference),), seeds=(3, 4))
    assert mean == pytest.approx(35)
    with pytest.raises(UserError, match="there is no 'val_unseen / 70 / SR'"):
        rows_of(("a", "SR"), (("x", reference.replace("#100", "#70")),), seeds=(3, 4))


def test_values_that_are_no_numbers_have_no_mean(tmp_path, rows_of):
    for seed, value in ((3, 0.4), (4, None)):
        (tmp_path / f"run-{seed}.json").write_text(json.dumps({"SR": value}))
    with pytest.raises(UserError, match=r"'run-\{seed\}.json#SR' is not a number for each seed"):
        rows_of(("a", "SR"), (("x", "run-{seed}.json#SR"),), seeds=(3, 4))


def test_intervals_of_comparisons(tmp_path, rows_of):
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
    first, second = rows_of(columns, rows)
    assert first[1] == pytest.approx((50, 10))
    assert first[2] is None
    assert second == ("other", 25.0, (-25.0, -50.0, 12.5))


def test_intervals_of_the_bench_become_text(tmp_path, rows_of):
    figure = {"mean": 0.5, "paths": [0.4, 0.612], "seeds": [None, None]}
    (tmp_path / "result.json").write_text(json.dumps({"SPL": figure}))
    columns = ("row", *(Column(key, key=f"SPL#{key}") for key in figure))
    ((_, mean, paths, seeds),) = rows_of(columns, (("a", "result.json"),))
    assert (mean, paths, seeds) == (50.0, "40.0 to 61.2", None)


def test_a_missing_value_is_named(tmp_path, rows_of):
    (tmp_path / "a.json").write_text('{"x": {"y": 1}}')
    with pytest.raises(ValueError, match=r"a\.json: there is no 'x / z'; correct the declaration"):
        rows_of(("a", "b"), (("label", "a.json#x#z"),))
    with pytest.raises(ValueError, match=r"a\.json: 'x' is neither a number nor an interval"):
        rows_of(("a", "b"), (("label", "a.json#x"),))
    with pytest.raises(FileNotFoundError):
        rows_of(("a", "b"), (("label", "gone.json#x"),))


def test_the_machine_is_described_without_affinity_and_load(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows
    monkeypatch.delattr(os, "getloadavg")  # Windows
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    described = machine()
    assert described["cores"] == 3
    assert "load" not in described
    assert described["processor"]
