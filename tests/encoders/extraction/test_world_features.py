"""Views and feature stores of a world, for any model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import clipnav
from clipnav.encoders.extraction.world_features import WorldViews


@pytest.fixture
def views(tiny_world: Path, tmp_path: Path, marked_skybox) -> WorldViews:
    """Views of the building `barn`; the skybox of each viewpoint has another brightness."""
    folder = tmp_path / "barn" / "matterport_skybox_images"
    folder.mkdir(parents=True)
    for i in range(6):
        faces = marked_skybox(np.eye(3), 16) // (i + 1)
        Image.fromarray(faces).save(folder / f"b{i}_skybox_small.jpg")
    return WorldViews("matterport", tiny_world, tmp_path, (8, 8), scans=("barn",))


def mean_colour(views: np.ndarray) -> np.ndarray:
    return views.mean((1, 2))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_store_has_the_features_of_every_viewpoint(views: WorldViews, tmp_path: Path, workers):
    path = tmp_path / "mine.safetensors"
    store = views.write_features(path, mean_colour, "mean colour", workers)
    assert store.keys == [f"barn_b{i}" for i in range(6)]
    assert store.width == 3
    assert store.metadata["encoder"] == "mean colour"
    assert store.metadata["image_size"] == [8, 8]
    for row, (scan, viewpoint) in enumerate(views.viewpoints):
        expected = mean_colour(views.read(scan, viewpoint)).astype(np.float16)
        np.testing.assert_array_equal(store.views[row], expected)
    env = clipnav.make(
        "R2R-CLIP-v0",
        split="val_unseen",
        world="matterport",
        data_dir=views.data_dir,
        features=path,
    )
    assert env.reset(seed=0)[0]["panorama"].shape == (36, 3 + 128)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": "mars"}, "world 'mars' is not one of houses"),
        ({"image_size": (0, 1)}, "image_size is 0, but must be a whole number"),
        ({"image_size": 224}, r"image_size 224 is not \(height, width\)"),
        ({"image_size": (100_000, 224)}, "image_size is 100000, but must be at most 4096"),
        ({"scans": "house_00"}, r"must be a tuple: \('house_00',\)"),
    ],
)
def test_wrong_arguments_are_refused_at_once(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        WorldViews(**changes)


@pytest.mark.parametrize("workers", [0, 1])
def test_missing_skyboxes_are_reported_before_any_is_encoded(views: WorldViews, tmp_path, workers):
    (tmp_path / "barn" / "matterport_skybox_images" / "b5_skybox_small.jpg").unlink()
    encoded = []

    def encode(images: np.ndarray) -> np.ndarray:
        encoded.append(images)
        return mean_colour(images)

    problem = r"b5_skybox_small\.jpg: no skybox.* \(1 of 6 viewpoints without skybox\)"
    with pytest.raises(FileNotFoundError, match=problem):
        views.write_features(tmp_path / "mine.safetensors", encode, "mean colour", workers)
    assert len(encoded) == 1  # black images, whose features have the width of the store
