"""An oracle that reads only the prompt reaches every goal through the real client."""

import json

import pytest

from agents.settings.language_models import PromptConfig
from tests.agents.language_models.servers import Oracle, draw_colour


def read_results(experiment):
    return json.loads((experiment.output / "results.json").read_text())


@pytest.mark.parametrize("strategy", ["plain", "mapgpt"])
def test_an_oracle_that_reads_the_prompt_reaches_every_goal(houses, serve, evaluate_with, strategy):
    oracle = Oracle(houses, draw_colour)
    with serve(oracle) as server:
        status, experiment, walks = evaluate_with(server.url, prompt=PromptConfig(strategy))
    results = read_results(experiment)
    assert status == 0
    assert oracle.faults == []
    assert results["results"]["val_unseen"]["oracle"]["SR"] == 1.0
    assert results["results"]["val_unseen"]["oracle"]["SPL"] > 0.999
    assert results["answers"]["invalid"] == 0
    if strategy == "plain":
        assert oracle.pictures > 12 * 4
    assert {walk.ending for walk in walks.values()} == {"stopped"}
