"""Comparisons of trainings: figures, resuming, and refused runs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from agents.experiments.comparison import SCORES, ComparisonRow, make_job, run_job, train_all
from agents.experiments.comparison_report import (
    make_report,
    markdown_table,
    seed_intervals,
    text_table,
    to_json,
)
from agents.learning.follower_training import follower_trainer
from envs.metrics import bootstrap_interval, paired_difference
from storage.features.opening import open_store
from storage.features.store import FeatureStore
from training.settings import to_json as settings_text


def scores(success, split="val_unseen"):
    """Return scores of two instructions for each path."""
    return {
        split: {
            f"{path}_{k}": {"path": path, "SR": value, "SPL": value / 2, "nDTW": 0.5}
            for path, value in enumerate(success)
            for k in range(2)
        }
    }


ROWS = {
    "a": [scores([0.0, 1.0, 0.0, 1.0]), scores([0.0, 1.0, 1.0, 1.0])],
    "b": [scores([0.0, 0.0, 0.0, 1.0]), scores([0.0, 1.0, 0.0, 1.0])],
    "forward": [scores([0.0, 0.0, 0.0, 1.0])],
}


def test_rows_have_their_seeds_and_their_difference_from_the_first():
    rows = make_report(ROWS)["val_unseen"]
    found = rows["a"]["SR"]
    assert found.runs == (0.5, 0.75)
    # Two values a quarter apart, one degree of freedom: t = 12.7062.
    assert found.over_seeds.high == pytest.approx(0.625 + 12.7062 * 0.125, abs=1e-4)
    assert found.against_first is None
    first, second = np.repeat([0.0, 1.0, 0.5, 1.0], 2), np.repeat([0.0, 0.5, 0.0, 1.0], 2)
    paths = np.repeat(range(4), 2).tolist()
    assert rows["b"]["SR"].against_first == paired_difference(first, second, clusters=paths)
    assert rows["b"]["SPL"].over_paths == bootstrap_interval(second / 2, clusters=paths)
    assert math.isnan(rows["forward"]["SR"].over_seeds.low)


def test_tables_contain_means_and_differences():
    report = make_report(ROWS)
    lines = text_table(report).splitlines()
    assert lines[1].split()[:6] == ["val_unseen", "a", "2", "62.5", "±", "158.8"]
    assert lines[3].split()[:5] == ["val_unseen", "forward", "1", "25.0", "12.5"]
    assert "-25.0 [" in lines[2]
    assert (
        markdown_table(report).splitlines()[2].startswith("| val_unseen | a | 2 | 62.5 ± 158.8 |")
    )
    kept = json.loads(json.dumps(to_json(report), allow_nan=False))
    assert kept["val_unseen"]["a"]["SR"]["runs"] == [0.5, 0.75]
    assert kept["val_unseen"]["forward"]["SR"]["over_seeds"]["low"] is None
    assert kept["val_unseen"]["a"]["SR"]["against_first"] is None
    assert seed_intervals(report)["SR"]["val_unseen"]["b"].mean == 0.375


def test_rows_of_other_episodes_are_refused():
    with pytest.raises(ValueError, match="b was scored on other episodes of val_unseen"):
        make_report({"a": [scores([1.0, 0.0])], "b": [scores([1.0])]})


@pytest.fixture
def arguments(tiny_arguments):
    return [
        *("--world", "matterport", "--data-dir", tiny_arguments["data_dir"]),
        *("--features", tiny_arguments["features"], "--threads", "1", "--batch-size", "4"),
        *(
            "--evaluation-splits",
            "val_unseen",
            "--select-by",
            "val_unseen",
            "--iterations",
            "4",
            "--evaluate-every",
            "2",
        ),
        *("--follower.hidden-size", "16", "--follower.embedding-size", "8"),
    ]


def test_a_resumed_comparison_is_bit_identical(arguments, tmp_path):
    whole = make_job(tmp_path / "whole", arguments)
    run_job(whole)
    expected = json.loads((tmp_path / "whole" / SCORES).read_text())
    assert expected["val_unseen"]["200_0"].keys() == {"path", "SR", "SPL", "nDTW"}

    run = tmp_path / "halved"
    trainer, _ = follower_trainer(make_job(run, arguments).config)
    for act in (trainer.step, trainer.step, trainer.evaluate, trainer.save, trainer.close):
        act()
    job = make_job(run, arguments)
    assert job.config.resume == run
    run_job(job)
    assert json.loads((run / SCORES).read_text()) == expected
    results = [json.loads((one / "results.json").read_text()) for one in (run, whole.run)]
    assert results[0]["best"] == results[1]["best"]
    # Finished runs are read, without a process.
    (run / SCORES).write_text(json.dumps({"val_unseen": {}}))
    (tmp_path / "halved").rename(tmp_path / "row-0")
    found = train_all([ComparisonRow("row", tuple(arguments))], 1, tmp_path, workers=1)
    assert found == {"row": [{"val_unseen": {}}]}


def test_a_run_killed_before_its_first_state_is_restarted(arguments, tmp_path):
    job = make_job(tmp_path, arguments)
    (tmp_path / "config.json").write_text(settings_text(job.config))
    again = make_job(tmp_path, arguments)
    assert again.config.resume is None
    run_job(again)
    assert (tmp_path / SCORES).is_file()


def test_runs_of_another_comparison_are_refused(arguments, tmp_path):
    job = make_job(tmp_path, arguments)
    (tmp_path / "config.json").write_text(settings_text(job.config))
    with pytest.raises(ValueError, match=r"config\.json and this comparison differ in iterations"):
        make_job(tmp_path, [*arguments, "--iterations", "5"])
    with pytest.raises(ValueError, match="a b, a-b give the same folder; rename"):
        train_all([ComparisonRow("a b", ()), ComparisonRow("a-b", ())], 1, tmp_path, workers=1)


def test_runs_on_other_features_are_refused(arguments, tmp_path, tiny_world):
    run_job(make_job(tmp_path / "run", arguments))
    store = open_store(tiny_world / "features.safetensors")
    other = tmp_path / "other.safetensors"
    FeatureStore.write(other, store.views, store.keys, {"encoder": "another"})
    with pytest.raises(ValueError, match=r"encoder test, but here it is another; choose"):
        make_job(tmp_path / "run", [*arguments, "--features", str(other)])


def test_a_failed_training_names_its_log(arguments, tmp_path):
    job = make_job(tmp_path, [*arguments, "--optimiser.learning-rate", "1e30"])
    with pytest.raises(ChildProcessError, match=r"output\.txt contains the whole output"):
        run_job(replace(job, config=replace(job.config, iterations=50, evaluate_every=50)))
