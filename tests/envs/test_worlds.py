import dataclasses
import json
import re

import pytest

from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.worlds import world_files


def test_paths_of_r4r_followers_and_pose_traces(tmp_path):
    (tmp_path / "matterport" / "connectivity").mkdir(parents=True)
    files = world_files("matterport", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"r4r/R4R_val_seen\.json: .*clipnav download-data"):
        files.annotations("r4r", "val_seen")
    with pytest.raises(FileNotFoundError, match=r"rxr/rxr_train_follower\.jsonl: .*download-data"):
        files.followers("train")
    (tmp_path / "rxr").mkdir()
    path = tmp_path / "rxr" / "rxr_train_follower.jsonl.gz"
    path.write_bytes(b"")
    assert files.followers("train") == path
    traces = tmp_path / "rxr" / "pose_traces" / "rxr_val_seen"
    assert files.pose_trace("val_seen", 26, "guide") == traces / "000026_guide_pose_trace.npz"
    assert (
        files.pose_trace("val_seen", 1234567, "follower")
        == traces / "1234567_follower_pose_trace.npz"
    )


@pytest.mark.parametrize(
    ("dataset", "name"),
    [("r2r", "R2R_{}.json"), ("rxr", "rxr_{}_guide.jsonl.gz"), ("r4r", "R2R_{}.json")],
)
def test_built_in_houses_have_annotations_and_features(dataset, name):
    files = world_files("houses")
    assert files.connectivity_dir == CONNECTIVITY_DIR
    for split in ("train", "val_seen", "val_unseen"):
        assert files.annotations(dataset, split).name == name.format(split)
    store = files.open_features(None)
    assert store is not None
    assert store.width > 0


def test_a_data_folder_of_the_houses_contains_other_episodes_in_them(tmp_path):
    records = json.loads(world_files("houses").annotations("r2r", "train").read_text())
    own = [record for record in records if record["scan"] in ("house_02", "house_03")]
    (tmp_path / "R2R_train.json").write_text(json.dumps(own))
    split = load_split("r2r", "train", "houses", tmp_path)
    assert [(one.scan, one.path_id) for one in split.episodes[::3]] == [
        (record["scan"], record["path_id"]) for record in own
    ]
    assert len(split.tokenizer) < len(load_split("r2r", "train").tokenizer)
    assert set(split.nav_world.scan_names) == {"house_02", "house_03"}
    assert split.store is not None
    assert split.store.row("house_02", own[0]["path"][0]) >= 0
    hint = r"R2R_val_seen\.json.*name one of the splits that exist: train$"
    with pytest.raises(FileNotFoundError, match=hint):
        split.files.annotations("r2r", "val_seen")


def test_errors_name_what_is_missing_and_the_remedy(tiny_world, tmp_path):
    with pytest.raises(ValueError, match="moon: no such world; choose one of houses, houses-sta"):
        world_files("moon")
    with pytest.raises(ValueError, match="requires data_dir"):
        world_files("matterport")
    with pytest.raises(FileNotFoundError, match=r"matterport/connectivity.*clipnav download-data"):
        world_files("matterport", tmp_path)
    files = world_files("matterport", tiny_world)
    with pytest.raises(FileNotFoundError, match=r"R2R_val_seen\.json.*clipnav download-data"):
        files.annotations("r2r", "val_seen")
    with pytest.raises(FileNotFoundError, match=r"rxr_test_guide\.jsonl"):
        files.annotations("rxr", "test")
    with pytest.raises(ValueError, match="chess: no such dataset; choose one of r2r, rxr, r4r"):
        files.annotations("chess", "train")
    splits = r"R2R_nowhere\.json.*'nowhere' of r2r; name one .*exist: train, val_seen, val_unseen$"
    with pytest.raises(FileNotFoundError, match=splits):
        world_files("houses").annotations("r2r", "nowhere")
    with pytest.raises(
        FileNotFoundError, match=f"download-data --only rxr --data-dir {tiny_world}, or"
    ):
        files.annotations("rxr", "val_seen")
    missing = r"none: this folder .*build-houses --data-dir .*none, or use world 'matterport'"
    with pytest.raises(FileNotFoundError, match=missing):
        world_files("houses", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no follower demonstrations; use world"):
        world_files("houses").followers("train")
    empty = dataclasses.replace(world_files("houses"), annotations_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"R2R_train\.json.*clipnav build-houses"):
        empty.annotations("r2r", "train")


@pytest.mark.parametrize(
    ("dataset", "split", "group"),
    [
        ("r2r", "val_unseen", "r2r"),
        ("r2r", "nowhere", "r2r"),
        ("r2r", "aug_paths", "r2r-augmentation"),
        ("r4r", "val_unseen", "r4r"),
        ("rxr", "test_standard", "rxr"),
        ("rxr", "marky_train", "rxr-marky"),
        ("followers", "train", "rxr-followers"),
        ("followers", "nowhere", "rxr-followers"),
    ],
)
def test_the_remedy_names_the_group_that_contains_a_missing_file(dataset, split, group, tmp_path):
    (tmp_path / "matterport" / "connectivity").mkdir(parents=True)
    files = world_files("matterport", tmp_path)
    hint = f"with clipnav download-data --only {group} --data-dir {tmp_path}, or pass"
    with pytest.raises(FileNotFoundError, match=re.escape(hint)):
        files.followers(split) if dataset == "followers" else files.annotations(dataset, split)


def test_features_are_the_given_store_the_default_store_or_none(tiny_world):
    files = world_files("matterport", tiny_world)
    assert files.open_features("none") is None
    store = files.open_features(tiny_world / "features.safetensors")
    assert store is not None
    assert store.width == 8
    with pytest.raises(ValueError, match=r"comes without features.*extract-features.*--no-vision"):
        files.open_features(None)
    with pytest.raises(FileNotFoundError, match=r"missing\.safetensors"):
        files.open_features(tiny_world / "missing.safetensors")


@pytest.mark.parametrize(
    ("world", "commands"),
    [
        ("houses", r"clipnav extract-features --world houses --output .*x\.safetensors$"),
        ("houses-standard", r"build-houses --set standard, then .*extract-features --world houses"),
    ],
)
def test_missing_features_of_the_houses_name_the_commands_that_make_them(world, commands, tmp_path):
    files = dataclasses.replace(world_files(world), features=tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError, match=commands):
        files.features_path(None)
