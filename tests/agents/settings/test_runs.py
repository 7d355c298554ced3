import dataclasses
import json
from pathlib import Path

import pytest

from clipnav.agents.duet.settings import MapTrainConfig, map_preset
from clipnav.agents.envdrop.settings import (
    SpeakerTrainConfig,
    TrainConfig,
    parse_speaker,
    preset,
    speaker_preset,
)
from clipnav.agents.hamt.settings import history_preset
from clipnav.agents.settings import agent_kind, read_agent_config
from clipnav.agents.settings.command_line import parse_agent
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import TRAINER
from clipnav.training.settings import CONFIG, read_config, to_json


def test_dataset_and_world_change_other_defaults():
    assert parse_agent([]) == preset("r2r", "houses")
    config = parse_agent(["--follower.hidden-size", "96", "--dataset", "rxr", "--no-vision"])
    wanted = preset("rxr", "houses")
    follower = dataclasses.replace(wanted.follower, hidden_size=96)
    assert config == dataclasses.replace(wanted, vision=False, follower=follower)
    config = parse_agent(["--world=matterport", "--data-dir", "data", "--minutes", "2.5"])
    assert config.iterations == preset("r2r", "matterport").iterations
    assert config.data_dir == Path("data")
    assert config.reinforcement.weight == 1.0
    assert config.minutes == 2.5


def test_instruction_ablations_have_names_and_seeds():
    assert parse_agent([]).instruction_ablation == "none"
    empty = parse_agent(["--instruction-ablation", "empty", "--dataset", "rxr", "--no-vision"])
    assert empty.run_name == "rxr-houses-no-vision-empty-instructions"
    assert not empty.use_instructions
    assert empty.exchanged_words is None
    shuffled = parse_agent(["--instruction-ablation", "shuffled", "--seed", "4"])
    assert shuffled.run_name == "r2r-houses-shuffled-instructions"
    assert shuffled.use_instructions
    assert shuffled.exchanged_words == 4


@pytest.mark.parametrize(
    "arguments", [["--seed", "moon"], ["--iterations", "many"], ["--preset", "duet"]]
)
def test_wrong_values_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse_agent(arguments)
    assert exit_.value.code != 0
    assert arguments[1] in capsys.readouterr().err


def test_recipes_are_read_first():
    arguments = ["--preset", "clip-vil-rxr", "--instruction-language", "hi", "--batch-size", "32"]
    config = parse_agent(arguments)
    assert config.preset == "clip-vil-rxr"
    assert config.dataset == "rxr"
    wanted = preset("rxr", "houses", "clip-vil-rxr")
    assert config == dataclasses.replace(wanted, instruction_language="hi", batch_size=32)
    config = parse_agent(["--preset", "envdrop", "--back-translation.speaker", "runs/speaker"])
    assert config.back_translation.speaker == Path("runs/speaker")
    assert config.follower.feature_dropout == 0.4
    speaker = parse_speaker(["--preset", "envdrop", "--world", "matterport"])
    assert speaker == speaker_preset("r2r", "matterport", "envdrop")


def test_a_continued_run_in_the_houses_has_reinforcement(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(preset("r2r", "houses")))
    wanted = preset("r2r", "houses", continued=True)
    found = parse_agent(["--start-from", str(tmp_path), "--seed", "2"])
    assert found == dataclasses.replace(wanted, start_from=tmp_path, seed=2)
    # On other data a follower learns as others do.
    for dataset, world in (("r2r", "matterport"), ("rxr", "houses"), ("r2r", "houses-standard")):
        found = parse_agent(["--dataset", dataset, "--world", world, f"--start-from={tmp_path}"])
        assert found == dataclasses.replace(preset(dataset, world), start_from=tmp_path)


def test_flags_with_underscores_determine_defaults(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(preset("r2r", "houses")))
    start = ["--start-from", str(tmp_path), "--output=a_b", "--max-training-steps=8"]
    words = [f"--start_from={tmp_path}", "--output=a_b", "--max_training_steps=8"]
    assert parse_agent(words) == parse_agent(start)
    speaker = ["--preset", "envdrop", "--back-translation.speaker", "runs/a_speaker"]
    found = parse_agent([word.replace("k-t", "k_t") for word in speaker])
    assert found == parse_agent(speaker)
    assert found.back_translation.speaker == Path("runs/a_speaker")


@pytest.mark.parametrize("name", ["--resume", "--start-from", "--dataset", "--preset"])
def test_a_missing_value_is_reported(name, capsys):
    with pytest.raises(SystemExit):
        parse_agent([name])
    complaint = capsys.readouterr().err
    assert name in complaint
    assert "--back-translation.speaker" not in complaint


def test_start_from_requires_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file"):
        parse_agent(["--start-from", str(tmp_path)])


def test_settings_are_equal_when_read_back(tmp_path):
    config = parse_agent(
        ["--features", "a.safetensors", "--seed", "3", "--optimiser.learning-rate", "0.02"]
    )
    (tmp_path / CONFIG).write_text(to_json(config))
    assert read_config(tmp_path, TrainConfig) == config


def test_missing_settings_are_named(tmp_path):
    """A default in place of a missing setting could be another value than that of the run."""
    values = json.loads(to_json(preset("r2r", "houses")))
    del values["batch_size"], values["angle_feature_size"]
    (tmp_path / CONFIG).write_text(json.dumps(values))
    match = r"config\.json: missing or unknown settings angle_feature_size, batch_size;"
    with pytest.raises(UserError, match=match):
        read_config(tmp_path, TrainConfig)
    values |= {"batch_size": 8, "angle_feature_size": 128}
    del values["follower"]["hidden_size"]
    (tmp_path / CONFIG).write_text(json.dumps(values))
    match = r"config\.json: follower: missing or unknown settings hidden_size;"
    with pytest.raises(UserError, match=match):
        read_config(tmp_path, TrainConfig)


def test_damaged_settings_name_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        read_config(tmp_path, TrainConfig)
    text = to_json(TrainConfig())
    for damaged, problem in (
        (text[:100], "not valid JSON"),
        (text.replace('"seed"', '"sead"'), "sead"),
        (text.replace('"hidden_size"', '"hiden"'), "hiden"),
        (
            text.replace('"instruction_ablation": "none"', '"instruction_ablation": true'),
            "instruction_ablation is True, none of none, empty, shuffled",
        ),
        (text.replace('"seed": 0', '"seed": "0"'), "seed is 0: Expected `int`, got `str`"),
        (text.replace('"hidden_size": 512', '"hidden_size": [512]'), "hidden_size is .512.: Exp"),
        (text.replace('"dropout": 0.5', '"dropout": 7'), "must be at least 0 and below 1"),
        (text.replace('"seed": 0', '"seed": 0, "seed": 1'), "key 'seed' occurs 2 times"),
        (json.dumps({**json.loads(text), "follower": 3}), "follower: 3 is not a group of settings"),
        ("[]", "is not a group of settings"),
        ("[" * 100_000, "nested deeper"),
    ):
        (tmp_path / CONFIG).write_text(damaged)
        with pytest.raises(ValueError, match=problem) as error:
            read_config(tmp_path, TrainConfig)
        assert str(tmp_path / CONFIG) in str(error.value)


def test_errors_name_the_command_of_a_run_of_another_kind(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(SpeakerTrainConfig()))
    problem = r"config\.json: was written by clipnav train-speaker, but clipnav"
    with pytest.raises(ValueError, match=problem):
        read_config(tmp_path, TrainConfig)
    (tmp_path / CONFIG).write_text(to_json(TrainConfig()))
    with pytest.raises(ValueError, match=r"train-agent, but clipnav train-speaker is needed"):
        read_config(tmp_path, SpeakerTrainConfig)
    for command, problem in {
        3: "was written by 3, but clipnav",
        "": "was written by",
    }.items():
        values = {"command": command, **dataclasses.asdict(TrainConfig())}
        (tmp_path / CONFIG).write_text(json.dumps(values, default=str))
        with pytest.raises(ValueError, match=problem):
            read_config(tmp_path, TrainConfig)


def test_settings_without_their_command_are_told_by_their_names(tmp_path):
    (tmp_path / CONFIG).write_text(json.dumps(dataclasses.asdict(TrainConfig()), default=str))
    assert read_config(tmp_path, TrainConfig) == TrainConfig()
    with pytest.raises(ValueError, match=r"missing or unknown settings .*; name a run of clip"):
        read_config(tmp_path, SpeakerTrainConfig)


def test_resuming_keeps_the_settings_of_the_run(tmp_path):
    config = parse_agent(["--dataset", "rxr", "--batch-size", "16"])
    (tmp_path / CONFIG).write_text(to_json(config))
    (tmp_path / TRAINER).touch()
    resumed = parse_agent(["--resume", str(tmp_path), "--iterations", "9"])
    assert resumed == dataclasses.replace(config, resume=tmp_path, iterations=9)


def test_a_resumed_run_keeps_its_folder(tmp_path):
    (tmp_path / CONFIG).write_text(to_json(parse_agent(["--output", "runs/first"])))
    (tmp_path / TRAINER).touch()
    assert parse_agent(["--resume", str(tmp_path)]).output == Path("runs/first")
    with pytest.raises(ValueError, match=r"output: runs/first against runs/second; omit"):
        parse_agent(["--resume", str(tmp_path), "--output", "runs/second"])


def test_resuming_with_other_settings_names_both_values(tmp_path):
    config = parse_agent(["--batch-size", "16"])
    (tmp_path / CONFIG).write_text(to_json(config))
    arguments = ["--resume", str(tmp_path), "--batch-size", "32", "--follower.hidden-size", "64"]
    with pytest.raises(ValueError, match="batch_size: 16 against 32") as error:
        parse_agent(arguments)
    assert "follower.hidden_size: 256 against 64" in str(error.value)


def test_a_settings_file_gives_the_defaults(tmp_path):
    saved = dataclasses.replace(preset("rxr", "houses"), batch_size=7, output=tmp_path)
    (tmp_path / "mine.json").write_text(to_json(saved))
    config = parse_agent(["--config", str(tmp_path / "mine.json"), "--seed", "4"])
    assert config == dataclasses.replace(saved, seed=4, output=None)
    with pytest.raises(ValueError, match=r"--preset and --config .* exclude each other"):
        parse_agent(["--config", str(tmp_path), "--preset", "envdrop"])
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        parse_agent(["--config", str(tmp_path / "none.json")])
    with pytest.raises(ValueError, match="was written by clipnav train-agent, but clipnav"):
        parse_speaker(["--config", str(tmp_path / "mine.json")])


def test_the_command_line_chooses_the_agent():
    assert type(parse_agent([])) is TrainConfig
    config = parse_agent(["--agent", "map", "--network.cross_layers", "3"])
    assert isinstance(config, MapTrainConfig)
    assert config.network.cross_layers == 3
    assert parse_agent(["--agent", "map", "--preset", "duet-r4r"]).dataset == "r4r"


def test_the_agent_of_a_run_is_read_from_its_folder(tmp_path):
    for config in (TrainConfig(), map_preset("r2r", "houses"), history_preset("r2r", "houses")):
        run = tmp_path / config.agent
        run.mkdir()
        (run / CONFIG).write_text(to_json(config))
        assert agent_kind(run) is type(config)
        assert read_agent_config(run) == config
        assert parse_agent(["--config", str(run)]) == config
    assert agent_kind(tmp_path / "absent") is TrainConfig


def test_published_settings_can_have_a_text_encoder_without_a_download():
    words = ["--text.tokens", "words", "--text.model", "None", "--network.text-model", "None"]
    config = parse_agent(["--agent", "hamt", "--world", "matterport", "--data-dir", "data", *words])
    assert (config.text.tokens, config.network.text_model) == ("words", None)
    assert config.network.hidden_size == 768


def test_a_metric_of_the_dataset_selects_weights():
    arguments = ("--select-metric", "GP", "--world", "matterport", "--data-dir", "data")
    assert parse_agent([*arguments, "--dataset", "cvdn"], "").select_metric == "GP"
    config = parse_agent(["--dataset", "r2r"], "")
    with pytest.raises(UserError, match="--select-metric GP: not one of OSR, SR, SPL, SPL_ref"):
        dataclasses.replace(config, select_metric="GP")
