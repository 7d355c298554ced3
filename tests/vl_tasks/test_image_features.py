"""The command that encodes folders of images for the tasks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipnav.encoders.clip import ClipEncoder
from clipnav.vl_tasks.data.images import image_tree, read_image
from clipnav.vl_tasks.grids import sources as features
from clipnav.vl_tasks.grids.sources import GridSource
from clipnav.vl_tasks.settings.networks import GridConfig

DAMAGED = 2  # index of the damaged image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Folder with eleven random images in three folders; one of them is truncated."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(11):
        path = folder / ("", "more", "more/deep")[number % 3] / f"{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        noise = rng.integers(0, 256, (40 + number, 64, 3)).astype(np.uint8)
        Image.fromarray(noise).save(path, quality=90)
    path = image_tree(folder)[DAMAGED]
    path.write_bytes(path.read_bytes()[:1500])
    return folder


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return ClipEncoder.load("house_clip", precision="fp32", device="cpu")


@pytest.fixture
def extract(run_command, pictures, monkeypatch):
    monkeypatch.setattr(features, "_SHARD", 4)
    monkeypatch.setattr(features, "_STEP", 2)

    def run(*arguments) -> str:
        settings = ("--grids.precision", "fp32", *arguments)
        return run_command("extract-image-features", "--images", pictures, *settings)

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["grid", "dense", "pooled"])
def test_stored_features_equal_those_of_the_encoder(extract, pictures, encoder, tmp_path, kind):
    shape = ("--grids.fit", "stretch", "--grids.image-size", "64", "96")
    extract("--skip-damaged", "--kind", kind, "--output", tmp_path, *shape)
    config = GridConfig(precision="fp32", fit="stretch", image_size=(64, 96))
    images = {path: path for path in image_tree(pictures)}
    source = GridSource(encoder, images, config, tmp_path, kind)
    last = list(images)[-1]
    expected = getattr(encoder, kind)([read_image(last)], (64, 96), "stretch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_encode_images", None)  # the features must come from the cache
        stored = source[last]
    np.testing.assert_allclose(stored, expected.reshape(stored.shape), rtol=2e-3, atol=2e-3)


def test_training_reads_the_features_from_the_cache(extract, pictures, encoder, cache):
    printed = extract("--skip-damaged")
    config = GridConfig(precision="fp32")
    images = {path.stem: path for path in image_tree(pictures)}
    damaged = image_tree(pictures)[DAMAGED]
    del images[damaged.stem]
    source = GridSource(encoder, images, config, cache / "grids")
    assert str(cache / "grids" / source.key) in printed
    assert f"1 damaged image skipped: {damaged}" in printed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_fill", lambda ids, **_: [] if not ids else pytest.fail("encodes"))
        assert source.batch(list(images)).features.shape == (10, 36, 512)


def test_a_resumed_run_writes_the_same_bytes(extract, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    extract("--skip-damaged", "--output", whole)
    encode = ClipEncoder.masked_grid
    encoded = []

    def dying(self, pictures, *arguments):
        if len(encoded) == 3:
            raise KeyboardInterrupt
        encoded.append(len(pictures))
        return encode(self, pictures, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ClipEncoder, "masked_grid", dying)
        with pytest.raises(KeyboardInterrupt):
            extract("--skip-damaged", "--output", broken)
    assert len(files(broken)) == 1
    extract("--skip-damaged", "--output", broken)
    assert len(files(whole)) == 3
    assert files(broken) == files(whole)


def test_parts_fill_one_folder(extract, pictures, encoder, tmp_path):
    for part in ("1/2", "0/2", "1/2"):
        extract("--skip-damaged", "--output", tmp_path, "--shard", part)
    assert sorted(files(tmp_path)) == [
        "00000-of-00002-00000.safetensors",
        "00001-of-00002-00000.safetensors",
        "00001-of-00002-00001.safetensors",
    ]
    images = {path: path for path in image_tree(pictures)}
    config = GridConfig(precision="fp32")
    cache = GridSource(encoder, images, config, tmp_path)._cache
    assert cache is not None
    assert len(cache) == 10


def test_folders_without_images_and_settings_without_effect_are_refused(extract, tmp_path):
    with pytest.raises(FileNotFoundError, match="no images"):
        image_tree(tmp_path)
    with pytest.raises(ValueError, match="no-keep"):
        extract("--grids.no-keep")
