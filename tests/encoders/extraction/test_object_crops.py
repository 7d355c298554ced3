"""Extraction of objects: crops of their boxes, resumption, published layout, and bad boxes."""

import json

import numpy as np
import pytest
from PIL import Image

from clipnav.encoders.extraction.object_arguments import ObjectArguments
from clipnav.encoders.extraction.object_crops import (
    CropRequest,
    CropSource,
    extract,
    main,
    read_seen,
)
from clipnav.envs.goals.boxes import SeenObject, seen_objects
from clipnav.envs.goals.reverie import ViewBoxes
from clipnav.storage.errors import UserError
from clipnav.storage.features.objects import open_objects
from clipnav.storage.features.view_grid import view_direction
from tests.envs.marked_panoramas import seen as directions_of


def test_the_view_of_a_box_is_found_again():
    # The largest box of an object is away from the centre of its view.
    for view, box in ((2, (10, 300, 80, 150)), (14, (0, 0, 100, 90)), (33, (500, 20, 140, 200))):
        known = SeenObject("7", "vase", view, box)
        found = SeenObject.of("7", "vase", known.direction, known.size)
        assert (found.object_id, found.name, found.view) == ("7", "vase", view)
        np.testing.assert_allclose(found.box, box, atol=1e-6)
        # Corners lie clockwise around the centre, from the upper left.
        turns = np.angle(np.exp(1j * (found.corners[:, 0] - known.direction[0])))
        assert [*np.sign(turns)] == [-1, 1, 1, -1]
        assert [*np.sign(found.corners[:, 1] - known.direction[1])] == [1, 1, -1, -1]
    # A box that no view contains is in the nearest one.
    assert SeenObject.of("8", "sofa", (0.5, 0.0), (1.0, 1.0)).view == 13


class MeanEncoder:
    """An encoder whose features are the mean colours of pictures; may fail after some objects."""

    name, weights_sha256, precision, preprocessing = "mean", "0", "fp32", {}
    image_size, embed_dim = (16, 16), 3

    def __init__(self, most=10**9):
        self.left = most

    def pooled(self, pictures):
        self.left -= len(pictures)
        if self.left < 0:
            raise KeyboardInterrupt
        return pictures.reshape(len(pictures), -1, 3).mean(1)


@pytest.fixture
def scan_dir(tmp_path, marked_skybox):
    for scan, letter, count in (("attic", "a", 9), ("barn", "b", 6)):
        folder = tmp_path / "scans" / scan / "matterport_skybox_images"
        folder.mkdir(parents=True)
        for i in range(count):
            Image.fromarray(marked_skybox(np.eye(3), 64)).save(
                folder / f"{letter}{i}_skybox_small.jpg"
            )
    return tmp_path / "scans"


@pytest.fixture
def arguments(tiny_world, scan_dir):
    return ObjectArguments(world="matterport", data_dir=tiny_world, scan_dir=scan_dir, workers=1)


def test_crops_show_the_middle_of_the_box(arguments, scan_dir):
    source = CropSource(17, arguments.files().connectivity_dir, scan_dir)
    for view in range(0, 36, 5):
        for box in ((0, 0, 60, 40), (300, 200, 100, 200), (560, 10, 80, 300)):
            one = SeenObject("1", "vase", view, box)
            (picture,) = source.load(CropRequest("attic", "a2", np.array([one.crop])))
            heading, elevation = one.direction
            expected = np.array(
                [
                    np.cos(elevation) * np.sin(heading),
                    np.cos(elevation) * np.cos(heading),
                    np.sin(elevation),
                ]
            )
            assert directions_of(picture[8, 8]) @ expected > np.cos(0.05)


def test_the_middle_of_a_view_has_its_direction():
    for view in range(36):
        heading, elevation = view_direction(view)
        one = SeenObject("1", "", view, (300, 220, 40, 40))
        assert np.allclose(one.direction, (heading, elevation))
        assert one.size == (40 / 640, 40 / 480)


def test_an_interrupted_run_goes_on_to_the_same_file(arguments, tmp_path):
    seen = read_seen(arguments)
    assert sum(map(len, seen.values())) > 8
    # Objects without views are left out: each is seen from two viewpoints.
    assert all(len(found) >= 1 for found in seen.values())
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    extract(whole, seen, MeanEncoder(), arguments)
    with pytest.raises(KeyboardInterrupt):
        extract(resumed, seen, MeanEncoder(5), arguments)
    assert not resumed.exists()
    extract(resumed, seen, MeanEncoder(), arguments)
    assert whole.read_bytes() == resumed.read_bytes()
    assert [path.name for path in tmp_path.glob("*.partial")] == []
    store = open_objects(whole)
    for (scan, viewpoint), found in seen.items():
        rows = list(store.rows(scan, viewpoint))
        assert store.ids[rows].tolist() == [one.object_id for one in found]
        assert store.names[rows].tolist() == ["vase#/"] * len(rows)
        np.testing.assert_allclose(store.sizes[rows], [one.size for one in found], atol=1e-6)


def test_published_layout_is_read_back(arguments, tmp_path):
    seen = read_seen(arguments)
    for name in ("objects.hdf5", "objects.safetensors"):
        extract(tmp_path / name, seen, MeanEncoder(), arguments)
    one, other = (open_objects(tmp_path / f"objects.{kind}") for kind in ("hdf5", "safetensors"))
    for key in other.keys:
        names = key.split("_")
        first, second = list(one.rows(*names)), list(other.rows(*names))
        assert one.ids[first].tolist() == other.ids[second].tolist()
        for table in ("features", "directions", "sizes"):
            left, right = getattr(one, table)[first], getattr(other, table)[second]
            np.testing.assert_allclose(left, right, atol=1e-3)


def change(box):
    boxes = ViewBoxes(tuple(box["visible_pos"]), tuple(map(tuple, box["bbox2d"])), "vase")
    return seen_objects({"7": boxes}, "BBoxes.json: viewpoint a1", "correct them")


def test_objects_without_views_are_left_out():
    assert change({"visible_pos": [], "bbox2d": []}) == []


@pytest.mark.parametrize("box", [[600, 0, 60, 10], [0, 0, 0, 10], [-1, 0, 5, 5]])
def test_boxes_outside_their_views_are_named(box):
    with pytest.raises(UserError, match=r"^BBoxes.json: viewpoint a1, object 7: box .* correct"):
        change({"visible_pos": [3], "bbox2d": [box]})


def test_missing_boxes_and_unknown_viewpoints_are_named(arguments, tmp_path):
    from dataclasses import replace

    missing = replace(arguments, boxes=tmp_path / "nowhere.json")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json: the boxes of REVERIE's objects"):
        read_seen(missing)
    entry = {"7": {"name": "vase", "visible_pos": [3], "bbox2d": [[0, 0, 9, 9]]}}
    path = tmp_path / "BBoxes.json"
    path.write_text(json.dumps({"attic_zz": entry}))
    with pytest.raises(UserError, match=r"BBoxes\.json: viewpoint zz is not in attic_conn"):
        read_seen(replace(arguments, boxes=path))
    path.write_text(json.dumps({"attic_a0": {"7": {"name": "vase"}}}))
    with pytest.raises(UserError, match=r"BBoxes\.json: viewpoint a0: .*visible_pos"):
        read_seen(replace(arguments, boxes=path))
    with pytest.raises(FileNotFoundError, match="no navigation graph of scan 'cellar'"):
        read_seen(replace(arguments, scans=("cellar",)))


def test_the_command_writes_what_environments_read(arguments, tmp_path, tiny_world, monkeypatch):
    from dataclasses import replace

    from clipnav.encoders.clip import ClipEncoder

    monkeypatch.setattr(ClipEncoder, "load", lambda *_: MeanEncoder())
    main(replace(arguments, output=tmp_path / "own.safetensors"))
    assert open_objects(tmp_path / "own.safetensors").width == 3
