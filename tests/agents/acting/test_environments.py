import dataclasses

import pytest

from clipnav.agents.acting.environments import feature_store, make_evaluation_envs
from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig


@pytest.mark.parametrize("kind", [TrainConfig, SpeakerTrainConfig])
def test_a_split_with_secret_goals_is_refused_before_the_training(kind, tiny_world):
    config = kind(
        world="matterport",
        data_dir=tiny_world,
        features=tiny_world / "features.safetensors",
        evaluation_splits=("val_unseen", "test"),
        select_by="val_unseen",
    )
    with pytest.raises(ValueError, match="--evaluation-splits test: its goals are not published"):
        make_evaluation_envs(config, make_tokenizer(config))
    config = dataclasses.replace(config, evaluation_splits=("val_unseen",))
    assert list(make_evaluation_envs(config, make_tokenizer(config))) == ["val_unseen"]


def test_missing_features_of_a_world_are_named_with_the_commands_that_make_them(
    tmp_path, monkeypatch, doors
):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"build-houses --set standard, then .* --world houses-standard"
    ):
        feature_store(TrainConfig(world="houses-standard"))
    with pytest.raises(ValueError, match=r"comes without features; .*--features"):
        feature_store(TrainConfig(world="matterport", data_dir=doors))
