"""Comparisons of trainings of agents: resuming, and refused runs."""

import json
from dataclasses import replace

import pytest

from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.experiments.comparison import make_job, run_job, train_all
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore
from clipnav.training.comparisons import SCORES, ComparisonRow
from clipnav.training.settings import to_json as settings_text


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
    assert expected["val_unseen"]["200_0"].keys() == {"building", "SR", "SPL", "nDTW", "sDTW"}

    run = tmp_path / "halved"
    trainer, _ = make_agent_trainer(FollowerLearner, make_job(run, arguments).config)
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
