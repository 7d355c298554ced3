"""Results of other settings or of a more complete run are not replaced."""

import json

import pytest

from clipnav.agents.language_models.evaluation.evaluating import balanced_subset
from clipnav.agents.language_models.settings import BudgetConfig, PromptConfig, ServerConfig
from clipnav.agents.language_models.strategies import plain_prompt
from clipnav.storage.errors import UserError
from tests.agents.language_models.servers import Sent, user_text

SMALL = {"episodes": 4, "concurrency": 1, "prompt": PromptConfig(pictures="none")}


def stop(body):
    return '{"action": "stop"}'


def files_in(*folders):
    return {path: path.read_bytes() for folder in folders for path in folder.iterdir()}


def test_results_of_other_settings_are_kept(serve, evaluate_with):
    with serve(stop) as server:
        _, experiment, _ = evaluate_with(server.url)
        before = (experiment.output / "results.json").read_bytes()
        sent = len(server.requests)
        with pytest.raises(UserError, match=r"prompt\.image_size: 224 against 64\); name another"):
            evaluate_with(server.url, prompt=PromptConfig(image_size=64))
        with pytest.raises(UserError, match="episodes: 12 against 6"):
            evaluate_with(server.url, episodes=6)
        assert len(server.requests) == sent
        assert (experiment.output / "results.json").read_bytes() == before


def test_other_time_outs_and_more_requests_at_a_time_are_no_other_evaluation(serve, evaluate_with):
    with serve(stop) as server:
        evaluate_with(server.url)
        patient = ServerConfig(request_timeout=30.0, max_retries=9, longest_wait=1.0, probe=False)
        status, experiment, _ = evaluate_with(server.url, server=patient, concurrency=2)
    assert status == 0
    written = json.loads((experiment.output / "results.json").read_text())
    assert written["settings"]["server"]["max_retries"] == 9


def test_files_of_something_else_are_kept(serve, evaluate_with):
    with serve(stop) as server:
        _, experiment, _ = evaluate_with(server.url)
        path = experiment.output / "results.json"
        whole = json.loads(path.read_text())
        for text, message in (
            (json.dumps(whole | {"subset_sha256": "0"}), "whose annotation file has changed"),
            ('{"results": {}}', r"results\.json: field '.*' is missing; name another"),
            ("[", r"results\.json: .*name another folder with --output, or delete"),
        ):
            path.write_text(text)
            with pytest.raises(UserError, match=message):
                evaluate_with(server.url)
            assert path.read_text() == text


def test_a_less_complete_run_does_not_replace_results(
    houses, serve, evaluate_with, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("clipnav.agents.language_models.models.server._FIRST_WAIT", 0.001)
    last = " ".join(balanced_subset(houses.episodes, 4, 0)[-1].instruction.split())
    broken = Sent(500, {}, b"")
    settings = {**SMALL, "submission": tmp_path / "submitted" / "walks.json"}
    with serve(lambda body: broken if last in user_text(body) else stop(body)) as server:
        status, experiment, _ = evaluate_with(server.url, **settings)
    folders = experiment.output, tmp_path / "submitted"
    before = files_in(*folders)
    assert (status, json.loads(before[experiment.output / "results.json"])["complete"]) == (1, True)
    capsys.readouterr()

    # Without the server, the run ends at the episode that failed, which is not in the cache.
    assert evaluate_with(server.url, **settings)[0] == 1
    assert files_in(*folders) == before
    kept = f"Nothing is written: {experiment.output} has results of a more complete run, with 3"
    assert f"{kept} finished episodes; this run has 3." in capsys.readouterr().out
    for answer, budget, count in (
        (stop, BudgetConfig(max_requests=2), 2),
        (lambda body: broken, BudgetConfig(), 0),
    ):
        with serve(answer, server.port) as again:
            empty = tmp_path / f"cache{count}"
            status, *_ = evaluate_with(again.url, budget=budget, cache=empty, **settings)
        assert status == 1
        assert files_in(*folders) == before
        assert f"{kept} finished episodes; this run has {count}." in capsys.readouterr().out


def test_a_run_that_breaks_off_keeps_the_earlier_files(serve, evaluate_with, tmp_path):
    with serve(stop) as server:
        _, experiment, _ = evaluate_with(server.url, **SMALL)
        before = files_in(experiment.output)
        walks = iter(range(2))

        def break_off(observation):
            if next(walks, None) is None:
                raise KeyboardInterrupt
            return plain_prompt(observation)

        with pytest.raises(KeyboardInterrupt):
            evaluate_with(server.url, strategy=break_off, cache=tmp_path / "empty", **SMALL)
        files = files_in(experiment.output)
        assert files.pop(experiment.output / "requests.running.jsonl").endswith(b"}\n")
        assert files == before
        evaluate_with(server.url, **SMALL)
        assert files_in(experiment.output) == before
