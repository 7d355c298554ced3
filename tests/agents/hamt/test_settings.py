"""Settings of HAMT."""

import dataclasses
import json

import pytest

from clipnav.agents.hamt.settings import HistoryTrainConfig, history_preset
from clipnav.agents.settings import agent_kind, read_agent_config
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json

# Published settings: value by value.
PUBLISHED = {
    "hamt-r2r": {
        "dataset": "r2r",
        "batch_size": 8,
        "iterations": 300_000,
        "evaluate_every": 2_000,
        "max_episode_steps": 15,
        "max_instruction_length": 60,
        "angle_feature_size": 4,
        "teacher": "reference",
        "teacher_weight": 0.2,
        "sampled_weight": 0.0,
        "cloning_iterations": 0,
        "instructions_per_path": 1,
        "freeze_encoders": True,
        "reward": "ndtw",
        "reinforcement.weight": 1.0,
        "reinforcement.discount": 0.9,
        "reinforcement.value": 0.5,
        "reinforcement.entropy": 0.01,
        "critic_dropout": 0.5,
        "select_by": "val_unseen",
        "select_metric": "SPL",
        "seed": 0,
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 1e-5,
        "optimiser.weight_decay": 0.01,
        "optimiser.schedule": "constant",
        "optimiser.clip": "norm",
        "optimiser.clip_at": 40.0,
        "text.tokens": "pretrained",
        "text.model": "bert-base-uncased",
        "text.tune": True,
        "text.learning_rate": 1e-5,
        "network.text_model": "bert-base-uncased",
        "network.text_model_layers": 9,
        "network.hidden_size": 768,
        "network.heads": 12,
        "network.feed_forward_size": 3072,
        "network.panorama_layers": 2,
        "network.cross_layers": 4,
        "network.max_steps": 100,
        "network.dropout": 0.1,
        "network.feature_dropout": 0.4,
        "network.feature_dropout_kind": "element",
        "network.standardise": False,
        "network.language_attention": True,
    },
}
PUBLISHED["hamt-rxr"] = {
    **PUBLISHED["hamt-r2r"],
    "dataset": "rxr",
    "iterations": 200_000,
    "max_episode_steps": 20,
    "max_instruction_length": 250,
    "text.model": "xlm-roberta-base",
    "network.text_model": "xlm-roberta-base",
    "network.feature_dropout": 0.3,
    "network.language_attention": False,
}


# `run_r4r.sh` names flags that its parser ignores: the parser's defaults are used.
PUBLISHED["hamt-r4r"] = {
    **PUBLISHED["hamt-r2r"],
    "dataset": "r4r",
    "max_instruction_length": 80,
    "network.feature_dropout": 0.3,
}


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_presets_have_the_published_values(recipe):
    config = parse_agent(
        ["--agent", "hamt", "--preset", recipe, "--world", "matterport", "--data-dir", "data"]
    )
    assert (config.preset, config.world, config.agent) == (recipe, "matterport", "hamt")
    values = json.loads(to_json(config))
    for name, expected in PUBLISHED[recipe].items():
        value = values
        for part in name.split("."):
            value = value[part]
        assert value == expected, name
    default = history_preset(config.dataset, "matterport")
    assert dataclasses.replace(default, preset=recipe, data_dir=config.data_dir) == config


@pytest.mark.parametrize("dataset", ["r2r", "rxr", "r4r"])
def test_the_built_in_houses_have_the_preset_of_a_cpu(dataset):
    config = history_preset(dataset, "houses")
    named = history_preset(dataset, "houses", "hamt-houses")
    assert (config.network, config.optimiser) == (named.network, named.optimiser)
    assert config.network.hidden_size == 128
    assert config.select_by == "val_seen"
    assert config.teacher == ("shortest" if dataset == "r2r" else "reference")
    assert config.run_name == f"hamt-{dataset}-houses"


def test_the_agent_of_a_run_is_read_from_its_folder(tmp_path):
    config = history_preset("r2r", "houses")
    (tmp_path / CONFIG).write_text(to_json(config))
    assert agent_kind(tmp_path) is HistoryTrainConfig
    assert read_agent_config(tmp_path) == config
    assert parse_agent(["--config", str(tmp_path)]) == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--freeze-encoders"], "--freeze-encoders has no effect without --start-from"),
        (["--sampled-weight", "0", "--teacher", "reference"], "with --sampled-weight 0"),
        (["--reward", "ndtw"], "with --reinforcement.weight 0"),
        (["--critic-dropout", "0.5"], "with --reinforcement.weight 0"),
        (["--no-vision", "--network.feature-dropout", "0.2"], "with --no-vision"),
    ],
)
def test_settings_without_effect_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_agent(["--agent", "hamt", *arguments])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_episode_steps": 101}, "--network.max-steps 100"),
        ({"teacher_weight": 0.0, "sampled_weight": 0.0}, "the run has no loss"),
        ({"max_instruction_length": 600}, "--network.max-text-length"),
        ({"critic_dropout": 1.0}, "--critic-dropout 1: must be at least 0 and below 1"),
    ],
)
def test_contradicting_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        HistoryTrainConfig(**changes)


def test_published_settings_can_have_a_text_encoder_without_a_download():
    words = ["--text.tokens", "words", "--text.model", "None", "--network.text-model", "None"]
    config = parse_agent(["--agent", "hamt", "--world", "matterport", "--data-dir", "data", *words])
    assert (config.text.tokens, config.network.text_model) == ("words", None)
    assert config.network.hidden_size == 768
