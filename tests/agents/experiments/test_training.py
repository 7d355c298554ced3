import dataclasses

import pytest

from agents.experiments import training
from agents.settings.map_presets import map_preset


@pytest.mark.parametrize(("iterations", "warns"), [(1_500, True), (1_501, False)])
def test_a_run_that_only_clones_warns(iterations, warns, monkeypatch, caplog):
    monkeypatch.setattr(training, "train_map_agent", lambda config: {})
    config = dataclasses.replace(map_preset("r2r", "houses"), iterations=iterations)
    training.train_any(config)
    expected = "all --iterations 1500 are among --cloning-iterations 1500"
    assert (expected in caplog.text) is warns
    caplog.clear()
    training.train_any(dataclasses.replace(config, sampled_weight=0.0))
    assert not caplog.text
