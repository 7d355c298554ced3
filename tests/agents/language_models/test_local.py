"""Local transformers models: tiny random ones of four architectures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clipnav.agents.language_models.evaluation.evaluating import prepare, run_experiment
from clipnav.agents.language_models.models.local import (
    AnswerConstraint,
    LocalModel,
    TokenVocabulary,
    load_model,
)
from clipnav.agents.language_models.models.replies import (
    BudgetReached,
    ModelQuestion,
    ReplyCache,
    Spending,
)
from clipnav.agents.language_models.prompts.messages import Message
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import (
    BudgetConfig,
    EvaluateVlmConfig,
    PromptConfig,
    SamplingConfig,
    ServerConfig,
)
from clipnav.agents.vlm_finetuning.learner import VlmLearner
from clipnav.agents.vlm_finetuning.settings import FinetuneVlmConfig
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.errors import UserError
from tests.agents.language_models.servers import draw_colour
from tests.agents.language_models.tiny_models import TINY_MODELS, tokenizer, write_llama

WORDS_ONLY = {"llama": write_llama}
SHORT = SamplingConfig(max_answer_tokens=8)


@pytest.fixture(scope="module", params=sorted(TINY_MODELS | WORDS_ONLY))
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    (TINY_MODELS | WORDS_ONLY)[request.param](path)
    return path


@pytest.fixture
def llama(tmp_path):
    path = tmp_path / "llama"
    write_llama(path)
    return path


def local_model(folder, cache, sampling=SHORT, answer_format="text", budget=None):
    return LocalModel(
        load_model(str(folder), "cpu"),
        PromptPictures(draw_colour),
        sampling,
        ReplyCache(cache),
        Spending(budget or BudgetConfig()),
        answer_format,
    )


@pytest.fixture
def model(folder, tmp_path):
    return local_model(folder, tmp_path / "cache")


@pytest.fixture
def asked(model):
    """Questions that the model can read."""
    if model.loaded.reads_pictures:
        return [question("a"), question("b", "c", "d"), question()]
    return [question(words=words) for words in ("The hall.", "The hall and the kitchen.", "")]


def load_for_evaluation(folder):
    load_model(folder, "cpu")


def load_for_training(folder):
    VlmLearner(FinetuneVlmConfig(data=Path(), model=folder))


def question(*viewpoints, words="", labels=("A", "B")):
    parts = [part for v in viewpoints for part in (f"Place {v}:", ViewPose("s", v, 0.0))]
    system = Message("system", ("You steer a robot.",))
    return ModelQuestion((system, Message("user", (words, *parts, "Which?"))), labels)


def test_a_batch_gives_the_answers_of_single_questions(model, asked, folder, tmp_path):
    together = model.replies(asked)
    alone = local_model(folder, tmp_path / "other")
    assert [r.text for r in together] == [alone.replies([q])[0].text for q in asked]
    assert all(0 < reply.usage.completion <= 8 for reply in together)
    assert together[1].usage.prompt > together[0].usage.prompt > together[2].usage.prompt


@pytest.mark.parametrize("folder", sorted(TINY_MODELS), indirect=True)
def test_pictures_reach_the_model(model):
    logits = []
    for viewpoint in ("a", "b"):
        with torch.inference_mode():
            output = model.loaded.model(**model.inputs([question(viewpoint)]))
        logits.append(output.logits[0, -1].float().numpy())
    assert not np.allclose(*logits)


def test_a_model_of_words_refuses_pictures_with_a_remedy(llama, tmp_path):
    with pytest.raises(ValueError, match=r"llama: reads no pictures; .*--strategy navgpt"):
        local_model(llama, tmp_path / "cache").replies([question("a")])


def test_answers_come_from_the_cache(model, asked, monkeypatch):
    first = model.replies(asked)
    monkeypatch.setattr(model, "_generate", None)
    assert model.replies(asked) == first


@pytest.mark.parametrize("folder", ["llama", "qwen3-vl"], indirect=True)
def test_constrained_answers_can_be_read(folder, asked, tmp_path):
    tokens = 100
    labels = ("0", "1", *map(str, range(10, 20)))  # some begin with another one
    questions = [replace(one, labels=labels) for one in asked]
    chosen = set()
    for temperature, seed in ((0.0, 0), (2.0, 1), (2.0, 2)):
        sampling = SamplingConfig(temperature, seed, tokens)
        model = local_model(folder, tmp_path / "constrained", sampling, "schema")
        for reply in model.replies(questions):
            answer = json.loads(reply.text)
            assert list(answer) == ["thought", "plan", "action"]
            assert answer["action"] in labels
            assert reply.finish == "stop"
            assert reply.usage.completion <= tokens
            chosen.add(answer["action"])
    assert {len(label) for label in chosen} == {1, 2}


def test_a_constrained_answer_without_room_is_cut_off(llama, tmp_path):
    sampling = SamplingConfig(max_answer_tokens=20)
    reply = local_model(llama, tmp_path / "cache", sampling, "schema").replies([question()])[0]
    assert reply.finish == "length"
    assert reply.text == '{"thought": "", "pla'  # a token is a character


def test_a_token_may_close_a_string_and_begin_the_next_part():
    words = tokenizer()
    words.add_tokens(['",', '", "', '","', '."', 'a"b', "a\\b"])
    vocabulary = TokenVocabulary(words, len(words), words.eos_token_id)
    closing = {words.decode([token]): begun for token, begun in vocabulary.closing.items()}
    assert closing == {'"': 0, '",': 1, '", "': 3, '."': 0}
    written = {words.decode([token]) for token in vocabulary.written.tolist()}
    assert written >= {"a", " ", *closing}
    assert not written & {'","', 'a"b', "a\\b", "\n", "</s>", ""}
    for close in closing:
        before = close.partition('"')[0]
        expected = f'{{"thought": "{before}", "plan": "{before}", "action": "B"}}</s>'
        assert write(words, vocabulary, [close, close, "B"]) == expected


def write(words, vocabulary, choices):
    """Return an answer with the choices wherever several tokens are allowed."""
    constraint = AnswerConstraint(vocabulary, [("A", "B")], 200)
    chosen = iter([words.convert_tokens_to_ids(choice) for choice in choices])
    answer = []
    while True:
        scores = constraint(torch.tensor([[0, *answer]]), torch.zeros(1, len(words)))
        allowed = scores[0].isfinite().nonzero()[:, 0].tolist()
        if len(allowed) == len(words):
            return words.decode(answer)
        answer.append(allowed[0] if len(allowed) == 1 else next(chosen))
        assert answer[-1] in allowed


def test_prompts_that_are_too_long_are_reported_and_the_others_answered(tmp_path):
    write_llama(tmp_path / "llama", max_position_embeddings=100)
    model = local_model(tmp_path / "llama", tmp_path / "cache")
    long, short = question(words="hall " * 20), question()
    replies = model.replies([long, short, long])
    assert [reply.finish == "too_long" for reply in replies] == [True, False, True]
    assert "it reads 92 beside an answer" in replies[0].text
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 1
    assert replies[1] == local_model(tmp_path / "llama", tmp_path / "cache").replies([short])[0]


def evaluate(folder, tmp_path, **settings):
    config = EvaluateVlmConfig(
        local_model=str(folder),
        episodes=3,
        output=tmp_path / "run",
        cache=tmp_path / "cache",
        **{"sampling": SHORT, "concurrency": 2, **settings},
    )
    status = run_experiment(prepare(config, draw=draw_colour, describe=lambda view: "a room"))
    return status, json.loads((tmp_path / "run" / "results.json").read_text())


@pytest.mark.parametrize("folder", ["llama", "llava"], indirect=True)
def test_an_evaluation_runs_to_its_end(folder, tmp_path):
    prompt = PromptConfig(strategy="navgpt" if folder.name.startswith("llama") else "plain")
    status, results = evaluate(folder, tmp_path, prompt=prompt)
    assert status == 0
    counts = results["answers"]
    assert counts["episodes"] == 3
    # A random model does not answer in the format.
    assert counts["ended by an invalid answer"] == 3
    assert results["tokens"]["completion"] > 0


def test_an_evaluation_with_constrained_answers_has_no_invalid_one(llama, tmp_path, capsys):
    status, results = evaluate(
        llama,
        tmp_path,
        prompt=PromptConfig(strategy="navgpt"),
        sampling=SamplingConfig(max_answer_tokens=60),
        server=ServerConfig(answer_format="schema"),
        max_episode_steps=2,
    )
    assert status == 0
    counts = results["answers"]
    assert counts["answers"] == counts["decisions"] >= 3
    assert counts["decisions without a valid answer"] == 0
    assert f"{counts['answers']} requests" in capsys.readouterr().err


def test_answers_of_local_models_are_constrained_by_a_schema_or_not_at_all():
    with pytest.raises(ValueError, match="--answer-format object: a local model has schema or"):
        EvaluateVlmConfig(local_model="x", server=ServerConfig(answer_format="object"))


def test_budgets_end_a_run_with_a_local_model(llama, tmp_path):
    status, results = evaluate(
        llama, tmp_path, prompt=PromptConfig(strategy="navgpt"), budget=BudgetConfig(max_requests=4)
    )
    assert status == 1
    assert not results["complete"]
    assert results["answers"]["episodes"] == 2
    assert results["answers"]["answers"] == 4


def test_answers_of_a_batch_that_the_budget_allows_are_kept(tmp_path):
    write_llama(tmp_path / "llama", max_position_embeddings=100)
    long = question(words="hall " * 20)
    words = ("", "The hall.", "The hall and the stairs.")
    questions = [long, *(question(words=text) for text in words)]

    def ask(cache, requests):
        budget = BudgetConfig(max_requests=requests)
        return local_model(tmp_path / "llama", tmp_path / cache, budget=budget).replies(questions)

    with pytest.raises(BudgetReached, match="--max-requests 2 is reached"):
        ask("cache", 2)
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2
    continued = [reply.text for reply in ask("cache", 1)]
    assert continued == [reply.text for reply in ask("other", 3)]


def test_a_folder_without_a_model_is_named_with_a_remedy(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match=r"model: transformers cannot read it .*save_pretrained"):
        load_model(str(tmp_path / "model"), "cpu")


CODE = {"auto_map": {"AutoProcessor": "evil.Evil", "AutoImageProcessor": "evil.Evil"}}


@pytest.mark.parametrize("folder", ["llava"], indirect=True)
@pytest.mark.parametrize("load", [load_for_evaluation, load_for_training])
@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"auto_map": {"AutoConfig": "evil.Evil"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": [None, "evil.Evil"]}}),
        ("processor_config.json", CODE),
        ("processor_config.json", {"image_processor": CODE}),
        ("preprocessor_config.json", CODE),
        ("video_preprocessor_config.json", CODE),
    ],
)
def test_a_folder_that_names_code_is_refused_without_a_question(
    folder, tmp_path, monkeypatch, load, file, changes
):
    path = shutil.copytree(folder, tmp_path / "model") / file
    settings = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**settings, "model_type": "evil", **changes}))
    (tmp_path / "model/evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    monkeypatch.setattr("builtins.input", lambda prompt: "y")
    monkeypatch.setattr("clipnav.agents.vlm_finetuning.learner._records", lambda folder: [])
    with pytest.raises(UserError, match=rf"{file}: names Python code \(auto_map\), which is not"):
        load(str(tmp_path / "model"))
    assert not (tmp_path / "ran").exists()


def test_an_endless_chat_template_ends_the_evaluation_in_one_line(llama, tmp_path, monkeypatch):
    monkeypatch.setattr("clipnav.storage.chat_templates._SECONDS", 1.0)
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    (llama / "chat_template.jinja").write_text(endless)
    with pytest.raises(UserError, match=r"llama: its chat template fails \(no end within 1 s"):
        local_model(llama, tmp_path / "cache").replies([question()])


def test_a_model_without_a_chat_template_is_named(llama):
    (llama / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match=r"llama: has no chat template"):
        load_model(str(llama), "cpu")
