"""The presets have the published settings."""

from dataclasses import replace

import pytest

from clipnav.vl_tasks.house_tasks.languages.lexicons import LANGUAGES
from clipnav.vl_tasks.multilingual.settings import PRETRAINING_PRESETS as MULTILINGUAL_PRETRAINING
from clipnav.vl_tasks.multilingual.settings import VQA_PRESETS as MULTILINGUAL_VQA
from clipnav.vl_tasks.specs import parse_task


def test_the_published_pre_training_has_five_epochs_of_ten_million_captions():
    config = MULTILINGUAL_PRETRAINING["multilingual"]
    assert config.text.bert == "bert-base-multilingual-uncased"
    assert (config.trunk.encoder, config.trunk.pretrained) == ("ViT-B-32-quickgelu", "openai")
    assert config.languages == ("en", "fr", "de", "es")
    assert config.faithful
    assert config.objective == "masked-words"
    assert config.image_size == (224, 224)
    assert config.max_words == 128 - 50
    assert config.batch_size == 64  # on each of eight cores
    assert config.iterations == 97_656
    optimiser = config.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.warmup) == ("adamw", 1e-4, 5000)
    assert (optimiser.schedule, optimiser.clip) == ("linear", "none")
    # run.sh sets neither --weight_decay nor --adam_epsilon of transformers' TrainingArguments.
    assert (optimiser.weight_decay, config.trunk_optimiser.weight_decay) == (0.0, 0.0)
    assert optimiser.epsilon == 1e-8


def test_the_published_fine_tuning_has_ten_epochs_of_vqa_v2_in_four_languages():
    config = MULTILINGUAL_VQA["multilingual"]
    assert config.languages == ("en", "fr", "de", "es")
    assert config.faithful
    assert config.batch_size == 128
    assert config.iterations == 10 * 4 * 443_757 // 1024
    optimiser = config.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.warmup) == ("adamw", 5e-5, 1600)
    assert (optimiser.betas, optimiser.epsilon) == ((0.9, 0.999), 1e-6)
    assert (optimiser.schedule, optimiser.weight_decay, optimiser.clip) == ("linear", 0.01, "none")


def test_flags_choose_the_preset_of_the_houses():
    config = parse_task("pretrain-vl", ["--model", "multilingual"])
    assert config == MULTILINGUAL_PRETRAINING["houses-multilingual"]
    assert config.languages == LANGUAGES
    assert config.run_name == "pretrain-vl-multilingual-house"
    words = parse_task("pretrain-vl", ["--objective", "masked-words"])
    assert words == replace(config, objective="masked-words")


def test_the_model_chooses_the_preset_of_fine_tuning():
    assert parse_task("vqa", ["--model", "multilingual"]) == MULTILINGUAL_VQA["houses-multilingual"]
    small = parse_task("vqa", ["--model", "multilingual", "--data", "photos"])
    assert small.preset == "small-multilingual"
    assert small.languages == ("en",)
    assert small.min_count == 1
    easy = parse_task("vqa", ["--model", "multilingual", "--data", "easy-vqa"])
    assert (easy.data, easy.languages) == ("easy-vqa", ("en",))
    assert easy.multilingual == MULTILINGUAL_VQA["houses-multilingual"].multilingual
    default = parse_task("vqa", [])
    assert default.model == "mcan"


@pytest.mark.parametrize("name", ["houses-multilingual", "small-multilingual"])
def test_new_and_pre_trained_networks_have_the_same_sizes(name):
    tuned = MULTILINGUAL_VQA[name].multilingual
    pretrained = MULTILINGUAL_PRETRAINING[name]
    assert (tuned.text, tuned.trunk) == (pretrained.text, pretrained.trunk)
    assert tuned.image_size == pretrained.image_size


def test_settings_without_effect_are_refused():
    with pytest.raises(ValueError, match="with --objective masked-words"):
        parse_task("pretrain-vl", ["--objective", "masked-words", "--no-answering"])
    flags = ["--multilingual.text.bert", "bert", "--multilingual.text.hidden-size", "64"]
    with pytest.raises(ValueError, match=r"multilingual\.text\.hidden.*with --multilingual\.text"):
        parse_task("vqa", ["--model", "multilingual", *flags])
    with pytest.raises(ValueError, match="with --model multilingual"):
        parse_task("vqa", ["--model", "multilingual", "--tokenizer", "mmf"])
