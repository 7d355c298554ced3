"""Fixtures: servers, and small evaluations with them."""

import json

import pytest

from clipnav.agents.language_models.evaluation.evaluating import prepare, run_experiment
from clipnav.agents.language_models.models.bodies import BodyMaker
from clipnav.agents.language_models.models.replies import ModelQuestion, ReplyCache, Spending
from clipnav.agents.language_models.models.server import ServerModel
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import (
    BudgetConfig,
    EvaluateVlmConfig,
    PromptConfig,
    SamplingConfig,
    ServerConfig,
)
from clipnav.agents.language_models.strategies import steps_prompt
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousVlmWalkMaker
from clipnav.envs.continuous.episodes import split_of_episodes
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.tokenizers import WordTokenizer
from tests.agents.language_models.servers import QUESTION, draw_colour, serving
from tests.envs.continuous.conftest import BoxSimulator, box_episodes


def read_results(experiment):
    """Return the results that an evaluation has written."""
    return json.loads((experiment.output / "results.json").read_text())


@pytest.fixture(scope="session")
def houses():
    """The split val_unseen of the built-in houses."""
    return load_split("r2r", "val_unseen", features="none")


@pytest.fixture
def make_maker():
    """Function that returns a maker of walks in boxes, with changes of the task."""

    def make(prompt=None, observe=("rgb",), **changes):
        task = task_settings("r2r", rgb_size=(16, 16), observe=observe, shuffle=False, **changes)
        episodes = box_episodes()
        tokenizer = WordTokenizer.build([e.instruction for e in episodes], min_count=1)
        split = split_of_episodes("r2r", episodes, tokenizer, 12)
        settings = WalkSettings(prompt or PromptConfig())
        return ContinuousVlmWalkMaker(split, steps_prompt, settings, task, BoxSimulator(task))

    return make


@pytest.fixture
def serve():
    """Context manager that runs a server with a function from a body to an answer."""
    return serving


@pytest.fixture
def evaluate_with(tmp_path, monkeypatch):
    """Function that evaluates a model on a server; returns status, experiment and walks.

    There are no walks if results of a more complete run stay in the folder.
    """
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
        return status, experiment, ended[0].walks if ended else {}

    return run


@pytest.fixture
def ask(serve, tmp_path, monkeypatch):
    """Function that asks a question of a server with these responses, the last one repeated."""
    monkeypatch.setattr("clipnav.agents.language_models.models.server._FIRST_WAIT", 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    seen: dict = {}

    def run(
        *responses, budget=None, question=QUESTION, times=1, models=("oracle",), port=0, **settings
    ):
        left = list(responses)

        def answer(body):
            return left.pop(0) if len(left) > 1 else left[0]

        spending = Spending(budget or BudgetConfig())
        with serve(answer, port) as server:
            server.models = list(models)
            seen["server"], seen["spending"] = server, spending
            model = ServerModel(
                server.url,
                BodyMaker("oracle", PromptPictures(draw_colour), SamplingConfig()),
                ReplyCache(tmp_path / "cache"),
                spending,
                ServerConfig(**{"request_timeout": 2.0, "max_retries": 2, **settings}),
            )
            try:
                for number in range(times):
                    prompt = (*question.prompt, Message("user", (str(number),)))
                    reply = model.reply(ModelQuestion(prompt, question.labels))
            finally:
                model.close()
        return reply

    run.seen = seen  # type: ignore[attr-defined]
    return run
