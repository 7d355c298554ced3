import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clipnav.encoders.clip import MaskedGrid
from clipnav.vl_tasks.grids.encoders import load_encoder
from clipnav.vl_tasks.grids.sources import GridSource
from clipnav.vl_tasks.settings.networks import GridConfig


class ColourEncoder:
    """Encoder whose grid cells are the mean colours of blocks of 8 x 8 pixels."""

    precision = "fp32"
    weights_sha256 = "c0" * 32

    def __init__(self):
        self.encoded = 0

    def masked_grid(self, images, size, fit):
        self.encoded += len(images)
        height = max(image.height for image in images) // 8
        width = max(image.width for image in images) // 8
        features = np.zeros((len(images), height, width, 3), np.float32)
        mask = np.zeros((len(images), height, width), bool)
        for number, image in enumerate(images):
            pixels = np.asarray(image, np.float32)
            rows, columns = pixels.shape[0] // 8, pixels.shape[1] // 8
            blocks = pixels.reshape(rows, 8, columns, 8, 3).mean((1, 3))
            features[number, :rows, :columns] = blocks
            mask[number, :rows, :columns] = True
        return MaskedGrid(features, mask)


def colour_encoder() -> Any:
    return ColourEncoder()


@pytest.fixture
def images(tmp_path) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    paths = {}
    for name, shape in {"wide": (16, 24), "high": (32, 16), "small": (8, 8)}.items():
        paths[name] = tmp_path / f"{name}.png"
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(paths[name])
    return paths


def test_grids_of_smaller_images_are_masked(images):
    source = GridSource(colour_encoder(), images, GridConfig(fit="native"))
    grids = source.batch(["high", "wide"])
    assert grids.features.shape == (2, 4 * 3, 3)
    assert grids.shape == (4, 3)
    assert grids.mask.sum(1).tolist() == [8, 6]
    pixels = np.asarray(Image.open(images["wide"]), np.float32)
    np.testing.assert_allclose(source["wide"][1], pixels[:8, 8:16].mean((0, 1)), rtol=1e-5)
    assert source.channels == 3


def test_cached_grids_equal_computed_ones_and_are_encoded_once(images, tmp_path):
    config = GridConfig(fit="native")
    computed = GridSource(colour_encoder(), images, config).batch(list(images))
    encoder = colour_encoder()
    cached = GridSource(encoder, images, config, tmp_path / "cache")
    cached.prepare()
    assert encoder.encoded == 3
    later = colour_encoder()
    again = GridSource(later, images, config, tmp_path / "cache")
    again.prepare()
    for source in (cached, again):
        grids = source.batch(list(images))
        torch.testing.assert_close(grids.features, computed.features, rtol=1e-3, atol=0)
        assert torch.equal(grids.mask, computed.mask)
    assert later.encoded == 0
    # A changed image is encoded again, ...
    Image.new("RGB", (24, 8)).save(images["small"])
    changed = GridSource(later, images, config, tmp_path / "cache")
    assert changed.batch(["small"]).mask.shape == (1, 3)
    assert later.encoded == 1
    # ... also if only its modification time has changed.
    os.utime(images["small"], ns=(0, images["small"].stat().st_mtime_ns + 1_000_000_000))
    GridSource(later, images, config, tmp_path / "cache").prepare()
    assert later.encoded == 2


def test_without_a_cache_images_are_encoded_once_per_batch(images):
    encoder = colour_encoder()
    source = GridSource(encoder, images, GridConfig(fit="native"))
    assert source.channels == 3
    first = next(iter(images))
    grids = source.batch([first] * 5)
    assert encoder.encoded == 1
    assert all(torch.equal(one, grids.features[0]) for one in grids.features)
    grids = source.batch(["small", "high", "small"])
    assert encoder.encoded == 3
    assert grids.mask.sum(1).tolist() == [1, 8, 1]
    torch.testing.assert_close(source["small"], grids.features[0][grids.mask[0]].numpy())


def test_keys_depend_on_encoder_size_and_fit(images, tmp_path):
    encoder, other = colour_encoder(), colour_encoder()
    other.weights_sha256 = "d1" * 32
    configs = [GridConfig(), GridConfig(fit="pad"), GridConfig(image_size=(64, 96))]
    sources = [GridSource(encoder, images, config) for config in configs]
    sources.append(GridSource(other, images, GridConfig()))
    assert len({source.key for source in sources}) == 4
    assert len({str(source.metadata) for source in sources}) == 4


def test_errors_name_bad_images(images, tmp_path):
    (tmp_path / "high.png").write_bytes(b"no picture")
    (tmp_path / "wide.png").unlink()
    for cache in (None, tmp_path / "cache"):
        source = GridSource(colour_encoder(), images, GridConfig(), cache)
        with pytest.raises(ValueError, match=r"high\.png"):
            source.batch(["high"])
        with pytest.raises(FileNotFoundError, match=r"wide\.png"):
            source.batch(["small", "wide"])


def test_house_clip_distinguishes_shapes_and_random_weights_differ(shapes):
    images = dict(enumerate(sorted((shapes / "images" / "val").iterdir())))
    grids = []
    for random in (False, True, True):
        config = GridConfig(random_weights=random, precision="fp32")
        source = GridSource(load_encoder(config, "cpu"), images, config)
        grids.append(source.batch([0, 1]))
        assert grids[-1].features.shape == (2, 36, 512)
        assert grids[-1].features.isfinite().all()
        assert (grids[-1].features[0] - grids[-1].features[1]).abs().max() > 1e-3
    assert not torch.equal(grids[0].features, grids[1].features)
    assert torch.equal(grids[1].features, grids[2].features)
