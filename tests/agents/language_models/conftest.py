"""Fixtures: servers, and small evaluations with them."""

import json

import pytest

from agents.language_models.evaluation.evaluating import prepare, run_experiment
from agents.settings.language_models import EvaluateVlmConfig, PromptConfig, ServerConfig
from envs.episodes.splits import load_split
from tests.agents.language_models.servers import draw_colour, serving


def read_results(experiment):
    """Return the results that an evaluation has written."""
    return json.loads((experiment.output / "results.json").read_text())


@pytest.fixture(scope="session")
def houses():
    """The split val_unseen of the built-in houses."""
    return load_split("r2r", "val_unseen", features="none")


@pytest.fixture
def serve():
    """Context manager that runs a server with a function from a body to an answer."""
    return serving


@pytest.fixture
def evaluate_with(tmp_path, monkeypatch):
    """Function that evaluates a model on a server; returns status, experiment and walks."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(url, *, draw=draw_colour, strategy=None, describe=None, **settings):
        settings = {
            "episodes": 12,
            "concurrency": 4,
            "output": tmp_path / "run",
            "cache": tmp_path / "cache",
            "server": ServerConfig(request_timeout=20.0, max_retries=2),
            "prompt": PromptConfig(),
            **settings,
        }
        config = EvaluateVlmConfig(url=url, model="oracle", **settings)
        experiment = prepare(config, strategy, draw, describe)
        ended = []
        status = run_experiment(experiment, ended.append)
        return status, experiment, ended[0].walks

    return run
