"""Evaluations with requests that fail or are refused: scores, submissions and resuming."""

import json
import re

import pytest

from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.language_models.evaluation import reporting as comparing
from clipnav.agents.language_models.evaluation.evaluating import balanced_subset
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.agents.language_models.walks.running import MOST_FAILURES
from tests.agents.language_models.conftest import read_results
from tests.agents.language_models.servers import Oracle, Sent, user_text


def test_failed_episodes_are_neither_scored_nor_submitted_and_the_status_says_so(
    houses, serve, evaluate_with, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("clipnav.agents.language_models.models.server._FIRST_WAIT", 0.001)
    oracle = Oracle(houses)
    episode = balanced_subset(houses.episodes, 12, 0)[0]
    broken = " ".join(episode.instruction.split())

    def answer(body):
        return Sent(500, {}, b"") if broken in user_text(body) else oracle(body)

    submission = tmp_path / "submission.json"
    with serve(answer) as server:
        status, experiment, walks = evaluate_with(server.url, submission=submission)
    results = read_results(experiment)
    assert status == 1
    assert results["answers"]["failed"] == 1
    assert results["scored_episodes"] == 11
    printed = capsys.readouterr().out
    assert "1 of 12 episodes failed and are not scored: HTTP 500" in printed
    submitted = {entry["instr_id"] for entry in json.loads(submission.read_text())}
    assert submitted == set(walks) - {episode.instr_id}
    missing = len(houses.episodes) - 11
    assert f"11 instructions: {submission}; the split has {missing} instructions more" in printed


def test_a_prompt_that_is_too_long_is_asked_without_earlier_pictures(houses, serve, evaluate_with):
    oracle = Oracle(houses)

    refused = []

    def answer(body):
        if json.dumps(body).count("image_url") > 2 * 14:
            refused.append(body)
            return Sent(400, {}, {"error": "At most 14 image(s) may be provided in one prompt"})
        return oracle(body)

    with serve(answer) as server:
        status, experiment, _ = evaluate_with(server.url)
        sent, too_long = len(server.requests), len(refused)
        assert status == 0
        counts = read_results(experiment)["answers"]
        assert counts["prompt too long"] == too_long > 0
        assert read_results(experiment)["results"]["val_unseen"]["oracle"]["SR"] == 1.0
        evaluate_with(server.url)
        # Answers come from the cache, refusals do not.
        assert len(server.requests) == sent + too_long
        assert len(refused) == 2 * too_long


def test_a_server_that_always_fails_is_given_up_and_answers_are_kept(
    houses, serve, evaluate_with, monkeypatch, capsys
):
    monkeypatch.setattr("clipnav.agents.language_models.models.server._FIRST_WAIT", 0.001)
    oracle, asked = Oracle(houses), []

    def answer(body):
        instruction = re.findall(r"^Instruction: (.*)$", user_text(body), re.M)[0]
        asked.extend([instruction] * (instruction not in asked))
        return Sent(500, {}, b"") if asked.index(instruction) >= 12 else oracle(body)

    settings = {"episodes": 60, "concurrency": 1}
    with serve(answer) as server:
        status, experiment, _ = evaluate_with(server.url, **settings)
        assert status == 1
        results, (printed, progress) = read_results(experiment), capsys.readouterr()
        # The next walk may have failed already.
        assert MOST_FAILURES <= results["answers"]["failed"] <= MOST_FAILURES + 1
        assert results["scored_episodes"] == 12
        assert not results["complete"]
        assert "Stopped: 10 episodes in a row failed; run the command again to resume." in printed
        assert re.search(r"\b1[01] failed, ", progress)
        server.answer = oracle
        assert evaluate_with(server.url, **settings)[0] == 0
    assert read_results(experiment)["scored_episodes"] == 60


@pytest.mark.parametrize("language", [None, "en"])
def test_a_run_that_lacks_a_language_of_the_evaluation_is_refused(tmp_path, monkeypatch, language):
    settings = TrainConfig(dataset="rxr", instruction_language=language)
    monkeypatch.setattr(comparing, "read_agent_config", lambda run: settings)
    monkeypatch.setattr(comparing, "model_metadata", lambda run: {})

    def names(wanted):
        config = EvaluateVlmConfig(
            url="http://127.0.0.1:9/v1",
            model="m",
            dataset="rxr",
            instruction_language=wanted,
            runs=(tmp_path / "run",),
        )
        return list(comparing.compared_runs(config))

    assert names("en") == ["run"]
    if language is None:
        assert names(None) == ["run"]
    else:
        with pytest.raises(ValueError, match=r"reads --instruction-language en only, .* has all"):
            names(None)
