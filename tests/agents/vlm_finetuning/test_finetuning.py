"""Fine-tuning of tiny random models, from an export to the model of an evaluation."""

import dataclasses
import json
import shutil
from functools import partial
from importlib.util import find_spec

import pytest
import torch

from clipnav.agents.language_models.models.local import LocalModel, load_model
from clipnav.agents.language_models.models.replies import ReplyCache, Spending
from clipnav.agents.language_models.prompts.parsing import parse_answer
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.settings import BudgetConfig, SamplingConfig
from clipnav.agents.language_models.strategies import make_strategy
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.running import VlmWalkMaker
from clipnav.agents.vlm_finetuning.learner import (
    finetune_vlm,
    model_inputs,
    read_records,
    vlm_trainer,
    write_merged,
)
from clipnav.agents.vlm_finetuning.settings import parse_finetuning
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.pictures.world_pictures import shared_pictures
from tests.agents.language_models.tiny_models import TINY_MODELS
from tests.agents.vlm_finetuning.conftest import PROMPT

# Importing peft takes seconds, in each process that collects tests.
pytestmark = pytest.mark.skipif(find_spec("peft") is None, reason="peft is missing")


@pytest.fixture(scope="session")
def qwen(tmp_path_factory):
    """Folder of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp("qwen")
    TINY_MODELS["qwen2.5-vl"](folder)
    return folder


@pytest.fixture
def config_of(finetuning):
    """Function that changes the settings of a fine-tuning."""
    return partial(dataclasses.replace, finetuning, evaluate_every=100)


def local_model(folder, world, cache):
    files = load_split("r2r", "train", "matterport", world, features="none").files
    views = shared_pictures(files, size=32)
    pictures = PromptPictures(lambda pose: views.rgb([pose])[0])
    loaded, spending = load_model(str(folder), "cpu"), Spending(BudgetConfig())
    return LocalModel(loaded, pictures, SamplingConfig(), ReplyCache(cache), spending)


def questions(world, instr_id):
    """Return the questions of an evaluation along the teacher's walk, with its actions."""
    split = load_split("r2r", "train", "matterport", world, features="none")
    walk = VlmWalkMaker(split, make_strategy(PROMPT), WalkSettings(prompt=PROMPT)).start(instr_id)
    found = []
    while walk.question is not None:
        action = walk.teacher_action()
        found.append((walk.question, walk._observation.options, action))
        walk.take(action)
    return found


def test_a_trained_model_answers_as_the_teacher_in_an_evaluation(config_of, pictured, tmp_path):
    config = config_of(lora_rank=0, iterations=90, batch_size=3, evaluate_every=15)
    config = dataclasses.replace(config, validation=config.data)
    folder = finetune_vlm(config)
    results = json.loads((config.output / "results.json").read_text())["results"]
    assert results["validation"]["accuracy"] == 1
    tuned = local_model(folder, pictured, tmp_path / "cache")
    instr_id = read_records(config.data)[0].id.rpartition("_")[0]
    asked = questions(pictured, instr_id)
    replies = tuned.replies([question for question, _, _ in asked])
    for reply, (_, options, action) in zip(replies, asked, strict=True):
        answer = parse_answer(reply.text, options, reply.finish, reply.refusal)
        assert answer.kind == "valid"
        assert answer.option is not None
        assert answer.option.action == action


def test_adapters_learn_and_are_merged(config_of, qwen):
    trainer, learner = vlm_trainer(config_of(model=str(qwen)))
    frozen = {name for name, w in learner.model.named_parameters() if not w.requires_grad}
    assert any("vision" in name or "visual" in name for name in frozen)
    assert not any("vision" in n or "visual" in n for n in learner.network.state_dict())
    first = trainer.step()["loss"]
    for _ in range(12):
        last = trainer.step()["loss"]
    assert last < first
    learner.network.eval()
    inputs = model_inputs(learner.template, learner.records[0])
    labels = inputs.pop("labels")
    with torch.no_grad():
        adapted = learner.model(**inputs).logits
        merged = learner.model.merge_and_unload()(**inputs).logits
    torch.testing.assert_close(adapted, merged, atol=1e-4, rtol=1e-4)
    assert labels.shape == inputs["input_ids"].shape
    trainer.close()


@pytest.mark.parametrize("name", ["llava", "qwen"])
def test_only_the_answer_has_a_loss_and_prompts_equal_those_of_an_evaluation(
    config_of, pictured, tmp_path, request, name
):
    config = config_of(model=str(request.getfixturevalue(name)))
    trainer, learner = vlm_trainer(config)
    trainer.close()
    tuned = local_model(config.model, pictured, tmp_path / "cache")
    asked = questions(pictured, learner.records[0].id.rpartition("_")[0])
    for record, (question, _, _) in zip(learner.records, asked, strict=True):
        inputs = model_inputs(learner.template, record)
        answer = inputs["labels"][0][inputs["labels"][0] != -100]
        text = learner.processor.tokenizer.decode(answer)
        assert text == record.answer + learner.processor.tokenizer.eos_token
        expected = tuned.inputs([question])
        length = expected["input_ids"].shape[1]
        assert torch.equal(inputs["input_ids"][:, :length], expected["input_ids"])
        assert len(answer) == inputs["input_ids"].shape[1] - length
        assert inputs["pixel_values"].shape == expected["pixel_values"].shape


def test_an_interrupted_merge_keeps_the_earlier_model(config_of, monkeypatch):
    trainer, learner = vlm_trainer(config_of(lora_rank=0))
    trainer.close()
    folder = write_merged(learner, trainer.run)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupt(target):
        raise KeyboardInterrupt

    monkeypatch.setattr(learner.processor, "save_pretrained", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_merged(learner, trainer.run)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(trainer.run.glob("*.writing*"))


def test_other_formats_and_missing_flags_are_refused(config_of, messages, tmp_path):
    folder = shutil.copytree(messages, tmp_path / "llava")
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"format": "messages"', '"format": "llava"'))
    with pytest.raises(ValueError, match="has the format llava, but fine-tuning reads messages"):
        vlm_trainer(config_of(data=folder))
    with pytest.raises(FileNotFoundError, match=r"manifest.json: missing"):
        vlm_trainer(config_of(data=tmp_path))
    with pytest.raises(ValueError, match="--data is missing"):
        parse_finetuning(["--model", "x"])
    with pytest.raises(ValueError, match=r"--lora-dropout 0\.5 has no effect with --lora-rank 0"):
        parse_finetuning(
            ["--data", "d", "--model", "x", "--lora-rank", "0", "--lora-dropout", "0.5"]
        )
    with pytest.raises(ValueError, match="--precision bf16 with --lora-rank 0"):
        config_of(lora_rank=0, precision="bf16")
    with pytest.raises(ValueError, match="--lora-dropout 1: must be at least 0 and below 1"):
        config_of(lora_dropout=1.0)


def test_a_model_without_a_chat_template_is_refused(config_of, llava, tmp_path):
    folder = shutil.copytree(llava, tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="has no chat template"):
        vlm_trainer(config_of(model=str(folder)))


def test_bf16_and_gradient_checkpointing_train_the_adapters(config_of):
    trainer, learner = vlm_trainer(config_of(precision="bf16", gradient_checkpointing=True))
    weights = {name: w.clone() for name, w in learner.network.state_dict().items()}
    for _ in range(2):
        trainer.step()
    trainer.close()
    assert all(w.dtype == torch.float32 for w in learner.network.state_dict().values())
    changed = [
        name for name, w in learner.network.state_dict().items() if (w != weights[name]).any()
    ]
    assert len(changed) > len(weights) / 2
