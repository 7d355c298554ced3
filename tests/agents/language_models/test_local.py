"""Local transformers models: tiny random ones of three architectures."""

import json

import numpy as np
import pytest

from agents.language_models.evaluation.evaluating import prepare, run_experiment
from agents.language_models.models.cache import ReplyCache
from agents.language_models.models.local import LocalModel
from agents.language_models.models.replies import Question
from agents.language_models.prompts.messages import Message
from agents.language_models.prompts.pictures import Pictures
from agents.settings.language_models import EvaluateVlmConfig, SamplingConfig
from envs.pictures.view_pictures import ViewPose
from tests.agents.language_models.servers import draw_colour
from tests.agents.language_models.tiny_models import TINY_MODELS


@pytest.fixture(scope="module", params=sorted(TINY_MODELS))
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    TINY_MODELS[request.param](path)
    return path


@pytest.fixture
def model(folder, tmp_path):
    sampling = SamplingConfig(max_answer_tokens=8)
    cache = ReplyCache(tmp_path / "cache")
    return LocalModel(str(folder), Pictures(draw_colour), sampling, "cpu", cache)


def question(*viewpoints):
    parts = [part for v in viewpoints for part in (f"Place {v}:", ViewPose("s", v, 0.0))]
    system = Message("system", ("You steer a robot.",))
    return Question((system, Message("user", (*parts, "Which?"))), ("A", "B"))


def test_a_batch_gives_the_answers_of_single_questions(model, folder, tmp_path):
    questions = [question("a"), question("b", "c", "d"), question()]
    together = model.replies(questions)
    alone = LocalModel(
        *(str(folder), Pictures(draw_colour), SamplingConfig(max_answer_tokens=8), "cpu"),
        ReplyCache(tmp_path / "other"),
    )
    assert [r.text for r in together] == [alone.replies([q])[0].text for q in questions]
    assert all(0 < reply.usage.completion <= 8 for reply in together)
    assert together[1].usage.prompt > together[0].usage.prompt > together[2].usage.prompt


def test_pictures_reach_the_model(model, folder):
    import torch

    logits = []
    for viewpoint in ("a", "b"):
        conversation = [model._message(message) for message in question(viewpoint).prompt]
        inputs = model._processor.apply_chat_template(
            [conversation], tokenize=True, return_dict=True, return_tensors="pt"
        )
        with torch.inference_mode():
            logits.append(model._model(**inputs).logits[0, -1].float().numpy())
    assert not np.allclose(*logits)


def test_answers_come_from_the_cache(model, monkeypatch):
    first = model.replies([question("a")])
    monkeypatch.setattr(model, "_generate", None)
    assert model.replies([question("a")]) == first


def test_an_evaluation_runs_to_its_end(folder, tmp_path, houses):
    config = EvaluateVlmConfig(
        local_model=str(folder),
        episodes=3,
        concurrency=2,
        output=tmp_path / "run",
        cache=tmp_path / "cache",
        sampling=SamplingConfig(max_answer_tokens=8),
    )
    assert run_experiment(prepare(config, draw=draw_colour)) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    counts = results["answers"]
    assert counts["episodes"] == 3
    # A random model does not answer in the format.
    assert counts["ended by an invalid answer"] == 3
    assert results["tokens"]["completion"] > 0


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        LocalModel(
            str(tmp_path / "nothing"),
            Pictures(),
            SamplingConfig(),
            "cpu",
            ReplyCache(tmp_path / "cache"),
        )


def test_a_folder_without_a_model_is_named_with_a_remedy(tmp_path):
    cache = ReplyCache(tmp_path / "cache")
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match=r"model: transformers cannot read it .*save_pretrained"):
        LocalModel(str(tmp_path / "model"), Pictures(draw_colour), SamplingConfig(), "cpu", cache)
