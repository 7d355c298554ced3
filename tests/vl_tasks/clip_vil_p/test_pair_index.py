"""The index of pairs on disk: its building, and damage of its files."""

import json

import pytest

from clipnav.storage import cache_dir
from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
from tests.vl_tasks.clip_vil_p.conftest import lxmert_record


def test_an_index_is_built_once_and_again_after_a_change(pair_folder, tmp_path):
    records = [lxmert_record("shape_1", "red", "circle")]
    path = tmp_path / "few_train.json"
    path.write_text(json.dumps(records))
    first = open_pairs(tmp_path, ["train"], pair_folder / "images")
    texts = first.folder / "texts"
    texts.write_bytes(b"X" * texts.stat().st_size)
    again = open_pairs(tmp_path, ["train"], pair_folder / "images")
    assert again[0].text.startswith("X")
    path.write_text(json.dumps(records * 2))
    assert len(open_pairs(tmp_path, ["train"], pair_folder / "images")) == 8


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("images", lambda raw: raw[:-4], r"images: damaged \(47 numbers instead of 48\)"),
        ("images", lambda raw: raw[:-3], r"images: damaged \(189 bytes are no whole numbers\)"),
        ("images", lambda raw: b"\xff" * len(raw), "the number 4294967295 is too large"),
        ("text_ends", lambda raw: raw[8:16] + raw[:8] + raw[16:], "it does not divide"),
        ("label_scores", lambda raw: bytes(len(raw)), "a score is not above 0"),
        ("index.json", lambda raw: raw.replace(b"red", b'x","y'), "do not fit together"),
    ],
)
def test_damage_of_the_index_is_named(pair_folder, tmp_path, monkeypatch, name, change, problem):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    pairs = open_pairs(pair_folder, ["val"], pair_folder / "images")
    path = pairs.folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{problem}.*; delete its folder; it is built again"):
        open_pairs(pair_folder, ["val"], pair_folder / "images")


def test_a_full_disk_is_named_and_leaves_no_index(pair_folder, tmp_path, file_size_limit):
    record = {"img_id": "shape_1", "sentf": {"a": ["a red circle"] * 100}}
    (tmp_path / "large_train.json").write_text(json.dumps([record]))
    wanted = r"unfinished: the index of pairs cannot be written \(File too large\); make room, or"
    with file_size_limit(1000), pytest.raises(OSError, match=wanted):
        open_pairs(tmp_path, ["train"], pair_folder / "images")
    assert not list((cache_dir() / "pairs").glob("*/unfinished"))
    assert len(open_pairs(tmp_path, ["train"], pair_folder / "images")) == 100
