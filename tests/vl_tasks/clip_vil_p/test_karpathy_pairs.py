"""Pairs of pre-training from captions in Karpathy's format."""

import json

import pytest

from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs


def test_karpathy_captions_are_pairs(shapes):
    pairs = open_pairs(shapes, ["val"], shapes / "images")
    assert len(pairs) == 24
    assert pairs[0].text.endswith(("circle.", "square."))
    assert pairs.image_path(0).is_file()


def captions_file(folder, path):
    record = {"filename": "shape_1.png", "cocoid": 1, "split": "train", "filepath": path}
    images = [{**record, "sentences": [{"tokens": ["a", "circle"]}]}]
    (folder / "dataset_own.json").write_text(json.dumps({"images": images}))


def test_a_missing_image_is_named_with_its_folders(pair_folder, tmp_path):
    captions_file(tmp_path, "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"image 1 is not in .*images; set --images to"):
        open_pairs(tmp_path, ["train"], pair_folder / "images")
