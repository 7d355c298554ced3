import dataclasses
import json
import shutil

import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.envdrop.settings import SpeakerTrainConfig
from clipnav.agents.envdrop.speaker import END
from clipnav.agents.envdrop.speaker_training import (
    SpeakerLearner,
    by_path,
    load_speaker,
    train_speaker,
)
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import RESULTS
from clipnav.training.settings import CONFIG, read_config, to_json


def test_speaker_learns_to_describe_doors(speaker_config, tmp_path, doors_env, capsys):
    config = dataclasses.replace(speaker_config, output=tmp_path / "run")
    results = train_speaker(config)
    # Each generated sentence is one of the three references of its door.
    assert results["val_unseen"]["BLEU"] > 0.9
    assert results["val_unseen"]["loss"] < 1.0
    assert "val_unseen: BLEU" in capsys.readouterr().out
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results
    assert report["best"]["BLEU"] == results["val_unseen"]["BLEU"]
    speaker = load_speaker(config.output, doors_env, {"encoder": "colours"}, "cpu")
    assert speaker.languages == ["en"]
    assert speaker.tokenizer == doors_env.tokenizer
    assert not speaker.network.training
    with pytest.raises(ValueError, match="trained on en, not on hi te"):
        speaker.language_ids(["te", "en", "hi"])


def test_evaluated_instructions_have_the_decoded_length(speaker_config):
    prepare(speaker_config)
    learner = SpeakerLearner(dataclasses.replace(speaker_config, max_decoded_length=5))
    with torch.no_grad():  # a speaker that comes to no end
        learner.speaker.decoder.word.bias[END] = -1e9
    learner.network.eval()
    summary = learner.evaluate()["val_unseen"]
    assert summary["words"] == 3  # and the marks at both ends


def test_features_of_another_encoder_are_refused(speaker_run, other_features, doors_env):
    config = read_config(speaker_run, SpeakerTrainConfig)
    later = dataclasses.replace(config, features=other_features, resume=speaker_run)
    with pytest.raises(ValueError, match="encoder colours, but here it is shades"):
        make_agent_trainer(SpeakerLearner, later)
    with pytest.raises(ValueError, match="encoder colours, but here it is shades"):
        load_speaker(speaker_run, doors_env, {"encoder": "shades"}, "cpu")


def test_angle_features_of_another_width_are_refused(speaker_run, doors_config):
    config = dataclasses.replace(doors_config, angle_feature_size=8)
    with pytest.raises(ValueError, match="width 4, but those of this run have width 8"):
        load_speaker(speaker_run, make_env(config, "train"), {"encoder": "colours"}, "cpu")


def test_a_speaker_is_loaded_on_another_device_than_it_was_trained_on(
    speaker_run, doors_env, tmp_path
):
    run = shutil.copytree(speaker_run, tmp_path / "speaker")
    trained = dataclasses.replace(read_config(run, SpeakerTrainConfig), device="cuda")
    (run / CONFIG).write_text(to_json(trained))
    speaker = load_speaker(run, doors_env, {"encoder": "colours"}, "cpu")
    assert {weight.device.type for weight in speaker.network.parameters()} == {"cpu"}


def test_a_speaker_without_a_language_of_the_episodes_is_refused(
    speaker_run, doors_env, monkeypatch
):
    hindi = dataclasses.replace(doors_env.episodes[-1], language="hi-IN")
    monkeypatch.setattr(doors_env, "episodes", [*doors_env.episodes[:-1], hindi])
    with pytest.raises(UserError, match="was trained on en, not on hi; train one"):
        load_speaker(speaker_run, doors_env, {"encoder": "colours"}, "cpu")


def test_references_of_a_path_are_grouped(doors_env):
    groups = by_path(doors_env.episodes)
    assert len(groups) == 32
    assert all(len({episode.path for episode in group}) == 1 for group in groups)
    other = dataclasses.replace(doors_env.episodes[0], language="hi-IN")
    assert len(by_path([*doors_env.episodes, other])) == 33
