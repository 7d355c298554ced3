"""Evaluation of saved continuous runs in a world of two little buildings."""

import json
from dataclasses import replace

import pytest

from clipnav.agents.continuous import tasks
from clipnav.agents.continuous.evaluation import evaluate_continuous_run
from clipnav.agents.continuous.settings import EvaluateContinuousConfig
from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.continuous.training import train_continuous
from clipnav.envs.continuous.files.submissions import check_continuous_submission
from clipnav.training.checkpoints import RESULTS

pytestmark = pytest.mark.usefixtures("box_world")


@pytest.fixture
def trained(tiny_config):
    """Run of an iteration."""
    train_continuous(replace(tiny_config, iterations=1))
    return tiny_config.output


def test_an_evaluation_repeats_the_results_of_the_training_and_submits_the_walks(trained, tmp_path):
    scores, path = tmp_path / "scores.json", tmp_path / "predictions.json"
    # A batch of three: the last batch of four episodes is padded.
    config = EvaluateContinuousConfig(
        trained, ("val_seen",), baselines=False, batch_size=3, json=scores, submission=path
    )
    results = evaluate_continuous_run(config)
    trained_results = json.loads((trained / RESULTS).read_text())["results"]
    assert results == {"val_seen": {"cma": trained_results["val_seen"]["cma"]}}
    assert json.loads(scores.read_text()) == {"results": results}
    task, _ = load_continuous_run(trained)
    episodes = task.split("val_seen").episodes
    counted = frozenset(episode.instr_id for episode in episodes)
    checked = check_continuous_submission(path, "r2r-ce", episodes, counted)
    assert checked.usable == 4
    assert not [finding for finding in checked.findings if finding.fault]


def test_a_test_split_gives_a_submission_without_measures(
    trained, split_of_boxes, monkeypatch, tmp_path, capsys
):
    hidden = [replace(episode, reference_path=()) for episode in split_of_boxes.episodes]
    secret = replace(split_of_boxes, episodes=hidden)
    monkeypatch.setattr(tasks, "load_continuous_split", lambda *_, **__: secret)
    path, scores = tmp_path / "predictions.json", tmp_path / "scores.json"
    config = EvaluateContinuousConfig(trained, ("test",), submission=path, json=scores)
    assert evaluate_continuous_run(config) == {"test": {"cma": {}}}
    assert json.loads(scores.read_text()) == {"results": {"test": {"cma": {}}}}
    assert "4 walks" in capsys.readouterr().out
    assert len(json.loads(path.read_text())) == 4


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="name a run of clipnav train-continuous-agent"):
        load_continuous_run(tmp_path)
