"""Settings of map agents."""

from pathlib import Path

import pytest

from clipnav.agents.duet.network_settings import MapTransformerConfig
from clipnav.agents.duet.presets import map_preset, parse_pretraining
from clipnav.agents.duet.settings import MapPretrainConfig, MapTrainConfig
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.settings import ReinforcementConfig, TextConfig, agent_kind, read_agent_config
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json


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


def test_tokenizer_and_text_encoder_have_the_same_model():
    text = TextConfig(tokens="pretrained", model="bert")
    with pytest.raises(ValueError, match="require the same model"):
        MapTrainConfig(text=text)
    with pytest.raises(ValueError, match="require the same model"):
        MapTrainConfig(network=MapTransformerConfig(text_model="bert"))


def test_an_unknown_agent_is_refused_with_the_names_of_all():
    with pytest.raises(ValueError, match=r"mapp: no such agent; .*follower, frontier, map, hamt"):
        parse_agent(["--agent", "mapp"])
