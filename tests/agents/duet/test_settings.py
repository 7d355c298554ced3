"""Settings of map agents."""

import json
from pathlib import Path

import pytest

from clipnav.agents.duet.network_settings import MapTransformerConfig
from clipnav.agents.duet.presets import map_preset, parse_pretraining, pretraining_preset
from clipnav.agents.duet.settings import MapPretrainConfig, MapTrainConfig
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.settings import ReinforcementConfig, TextConfig, agent_kind, read_agent_config
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json

# Published settings: value by value.
PUBLISHED = {
    "duet-r2r": {
        "dataset": "r2r",
        "batch_size": 8,
        "iterations": 200_000,
        "evaluate_every": 1_000,
        "max_decisions": 15,
        "max_instruction_length": 200,
        "teacher_weight": 0.2,
        "sampled_weight": 1.0,
        "sampled_steps": 1.0,
        "cloning_iterations": 0,
        "instructions_per_path": 1,
        "expert": "spl",
        "select_by": "val_unseen",
        "select_metric": "SPL",
        "seed": 0,
        "stops_at_best": True,
        "optimiser.name": "adamw",
        "optimiser.learning_rate": 1e-5,
        "optimiser.weight_decay": 0.01,
        "optimiser.schedule": "constant",
        "optimiser.clip": "norm",
        "optimiser.clip_at": 40.0,
        "network.hidden_size": 768,
        "network.heads": 12,
        "network.feed_forward_size": 3072,
        "network.text_layers": 9,
        "network.panorama_layers": 2,
        "network.cross_layers": 4,
        "network.max_steps": 100,
        "network.dropout": 0.1,
        "network.feature_dropout": 0.4,
        "network.feature_dropout_kind": "element",
        "network.standardise": False,
        "network.fusion": "dynamic",
        "network.local_candidates_only": False,
        "network.revisits": False,
        "text.tokens": "pretrained",
        "text.model": "bert-base-uncased",
        "text.tune": True,
        "text.learning_rate": 1e-5,
        "network.text_model": "bert-base-uncased",
        "network.text_model_layers": 9,
    },
}
PUBLISHED["duet-r4r"] = {**PUBLISHED["duet-r2r"], "dataset": "r4r", "network.revisits": True}
PUBLISHED["bevbert-rxr"] = {
    **PUBLISHED["duet-r2r"],
    "dataset": "rxr",
    "iterations": 100_000,
    "max_decisions": 20,
    "teacher_weight": 0.8,
    "expert": "ndtw",
    "select_metric": "nDTW",
    "text.model": "xlm-roberta-base",
    "network.text_model": "xlm-roberta-base",
}


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_presets_have_the_published_values(recipe):
    config = map_preset("r2r", "matterport", recipe)
    assert (config.preset, config.world, config.agent) == (recipe, "matterport", "map")
    values = json.loads(to_json(config))
    for name, expected in PUBLISHED[recipe].items():
        value = values
        for part in name.split("."):
            value = value[part]
        assert value == expected, name


@pytest.mark.parametrize("dataset", ["r2r", "rxr", "r4r"])
def test_the_built_in_houses_have_the_preset_of_a_cpu(dataset):
    config = map_preset(dataset, "houses")
    named = map_preset(dataset, "houses", "map-houses")
    assert (config.network, config.optimiser) == (named.network, named.optimiser)
    assert config.network.hidden_size == 128
    assert config.select_by == "val_seen"
    assert config.expert == ("spl" if dataset == "r2r" else "ndtw")
    assert config.network.revisits == (dataset != "r2r")


def test_the_standard_houses_have_more_iterations():
    small, large = (map_preset("r2r", world) for world in ("houses", "houses-standard"))
    assert large.iterations > small.iterations
    assert large.network == small.network


def test_the_text_encoder_can_be_chosen_beside_a_preset():
    config = parse_agent(["--agent", "map", "--network.text-encoder", "lstm"])
    assert config.network.text_encoder == "lstm"


def test_the_command_line_chooses_the_agent():
    assert type(parse_agent([])) is TrainConfig
    config = parse_agent(["--agent", "map", "--network.cross_layers", "3"])
    assert isinstance(config, MapTrainConfig)
    assert config.network.cross_layers == 3
    assert parse_agent(["--agent", "map", "--preset", "duet-r4r"]).dataset == "r4r"


def test_the_agent_of_a_run_is_read_from_its_folder(tmp_path):
    for config in (TrainConfig(), map_preset("r2r", "houses")):
        run = tmp_path / config.agent
        run.mkdir()
        (run / CONFIG).write_text(to_json(config))
        assert agent_kind(run) is type(config)
        assert read_agent_config(run) == config
        assert parse_agent(["--config", str(run)]) == config
    assert agent_kind(tmp_path / "absent") is TrainConfig


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampled-weight", "0", "--expert", "ndtw"], "--expert ndtw has no effect"),
        (["--sampled-weight", "0", "--sampled-steps", "0.5"], "--sampled-steps 0.5 has no effect"),
        (["--no-vision", "--network.feature-dropout", "0.2"], "with --no-vision"),
        (["--network.text-encoder", "lstm", "--network.text-layers", "1"], "text-encoder lstm"),
        (["--network.text-model-layers", "2"], "without --network.text-model"),
        (
            [
                *("--text.tokens", "pretrained", "--text.model", "bert"),
                *("--network.text-model", "bert", "--network.text-layers", "1"),
            ],
            "with --network.text-model",
        ),
        (["--angle-feature-size", "8"], "--angle-feature-size 8 has no effect"),
    ],
)
def test_settings_without_effect_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_agent(["--agent", "map", *arguments])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_decisions": 100}, "--network.max-steps"),
        ({"teacher_weight": 0.0, "sampled_weight": 0.0}, "the run has no loss"),
        ({"instructions_per_path": 13, "batch_size": 12}, "--batch-size"),
        ({"max_instruction_length": 600}, "--network.max-text-length"),
        ({"cloning_iterations": -1}, "--cloning-iterations"),
        ({"sampled_steps": 1.5}, "--sampled-steps"),
        (
            {"sampled_steps": 0.3, "reinforcement": ReinforcementConfig(weight=1.0)},
            "requires walks of the agent alone",
        ),
    ],
)
def test_contradicting_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MapTrainConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masked_words": 0.0, "actions": 0.0}, "the run has no task"),
        ({"masked_views": 1.0}, "requires --class-scores"),
        ({"class_scores": Path("scores.safetensors")}, "requires --class-scores"),
        ({"generated_share": 1.5}, "--generated-share"),
        ({"mask_rate": -0.1}, "--mask-rate"),
    ],
)
def test_contradicting_settings_of_pretraining_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MapPretrainConfig(**changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--text.tokens pretrained --text.model bert --network.text-model bert --text.tune "
            "--text.learning-rate 1e-6",
            "--text.learning-rate 1e-06 has no effect in pre-training",
        ),
        (
            "--language-representation runs/l --clear.tune-language "
            "--clear.language-learning-rate 1e-6",
            "--clear.language-learning-rate 1e-06 has no effect in pre-training",
        ),
        ("--angle-feature-size 8", "--angle-feature-size 8 has no effect"),
    ],
)
def test_settings_of_pretraining_without_effect_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_pretraining(arguments.split())


def test_pretraining_can_have_the_angle_features_of_its_speaker():
    config = parse_pretraining(["--speaker", "runs/speaker", "--angle-feature-size", "8"])
    assert config.angle_feature_size == 8


def test_pretraining_presets_have_the_published_values():
    sizes = {"duet-r2r": 64, "duet-r4r": 32, "bevbert-rxr": 64}
    for recipe, batch_size in sizes.items():
        config = pretraining_preset("r2r", "matterport", recipe)
        iterations = 200_000 if recipe == "bevbert-rxr" else 100_000
        assert (config.batch_size, config.iterations) == (batch_size, iterations)
        assert config.evaluate_every == (5_000 if recipe == "duet-r4r" else 2_500)
        assert config.network.feature_dropout == 0.0
        assert config.mask_rate == 0.15
        assert config.masked_words == config.actions == 1.0
        optimiser = config.optimiser
        assert (optimiser.name, optimiser.learning_rate) == ("adamw", 5e-5)
        assert (optimiser.betas, optimiser.weight_decay) == ((0.9, 0.98), 0.01)
        assert (optimiser.schedule, optimiser.warmup) == ("linear", 10_000)
        assert (optimiser.clip, optimiser.clip_at) == ("norm", 5.0)


def test_tokenizer_and_text_encoder_have_the_same_model():
    text = TextConfig(tokens="pretrained", model="bert")
    with pytest.raises(ValueError, match="require the same model"):
        MapTrainConfig(text=text)
    with pytest.raises(ValueError, match="require the same model"):
        MapTrainConfig(network=MapTransformerConfig(text_model="bert"))


def test_an_unknown_agent_is_refused_with_the_names_of_all():
    with pytest.raises(ValueError, match=r"mapp: no such agent; .*follower, frontier, map, hamt"):
        parse_agent(["--agent", "mapp"])
