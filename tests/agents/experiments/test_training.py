import dataclasses

import pytest

from clipnav.agents.duet.settings import map_preset
from clipnav.agents.experiments import training
from clipnav.agents.frontier.settings import frontier_preset
from clipnav.agents.settings import ReinforcementConfig


@pytest.mark.parametrize(("iterations", "warns"), [(1_500, True), (1_501, False)])
def test_a_run_that_only_clones_warns(iterations, warns, monkeypatch, caplog):
    monkeypatch.setattr(training, "make_agent_trainer", lambda *_: ())
    monkeypatch.setattr(training, "train_and_compare", lambda: {})
    config = dataclasses.replace(map_preset("r2r", "houses"), iterations=iterations)
    training.train(config)
    expected = "all --iterations 1500 are among --cloning-iterations"
    assert (expected in caplog.text) is warns
    caplog.clear()
    training.train(dataclasses.replace(config, sampled_weight=0.0))
    assert not caplog.text


@pytest.mark.parametrize(("weight", "warns"), [(0.0, True), (1.0, False)])
def test_a_frontier_agent_with_reinforcement_does_not_clone(weight, warns, monkeypatch, caplog):
    monkeypatch.setattr(training, "make_agent_trainer", lambda *_: ())
    monkeypatch.setattr(training, "train_and_compare", lambda: {})
    config = dataclasses.replace(
        frontier_preset("r2r", "houses"),
        iterations=100,
        reinforcement=ReinforcementConfig(weight=weight),
    )
    training.train(config)
    assert ("the agent never acts on its own decisions" in caplog.text) is warns
