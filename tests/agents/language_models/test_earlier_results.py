"""Results of other settings are not replaced."""

import json

import pytest

from agents.settings.language_models import PromptConfig, ServerConfig
from storage.errors import UserError


def stop(body):
    return '{"action": "stop"}'


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
            ('{"results": {}}', r"results\.json: contains no results of clipnav evaluate-vlm"),
            ("[", r"results\.json: .*name another folder with --output, or delete"),
        ):
            path.write_text(text)
            with pytest.raises(UserError, match=message):
                evaluate_with(server.url)
            assert path.read_text() == text
