"""Settings of HAMT."""

import pytest

from clipnav.agents.hamt.settings import HistoryTrainConfig, history_preset
from clipnav.agents.settings import agent_kind, read_agent_config
from clipnav.agents.settings.command_line import parse_agent
from clipnav.training.settings import CONFIG, to_json


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
