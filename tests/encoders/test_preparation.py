from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg
from PIL import Image

from clipnav.encoders.preparation import Fit, Preparation, check_images

CONFIG = PreprocessCfg(size=(64, 64), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


@pytest.fixture
def patches() -> Preparation:
    """Preparation for a tower of 16-pixel patches."""
    return Preparation(CONFIG, (16, 16), (16, 16))


@pytest.fixture
def any_size() -> Preparation:
    """Preparation for a tower of stride 32 and any input size."""
    return Preparation(CONFIG, (1, 1), (32, 32))


def random_image(height: int, width: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def normalised(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor(CONFIG.mean), torch.tensor(CONFIG.std)
    return (pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def test_stretching_keeps_the_whole_image(patches: Preparation):
    image = random_image(90, 70)
    (batch,) = patches.batches([image], (48, 96), "stretch")
    expected = normalised(image.resize((96, 48), Image.Resampling.BICUBIC))
    torch.testing.assert_close(batch.pixels[0], expected)
    assert batch.real.tolist() == [[48, 96]]


def test_padding_keeps_the_aspect_ratio_and_returns_the_covered_size(patches: Preparation):
    images = [random_image(100, 50), random_image(20, 40, 1)]
    (batch,) = patches.batches(images, (64, 64), "pad")
    assert batch.real.tolist() == [[64, 32], [32, 64]]
    torch.testing.assert_close(
        batch.pixels[0, :, :, :32], normalised(images[0].resize((32, 64), Image.Resampling.BICUBIC))
    )
    assert not batch.pixels[0, :, :, 32:].any()
    assert not batch.pixels[1, :, 32:].any()


def test_native_images_keep_their_pixels_in_a_tower_for_any_size(any_size: Preparation):
    images = [
        random_image(60, 100),
        random_image(33, 47, 1),
        random_image(60, 100, 2),
        random_image(8, 50, 3),
    ]
    batches = list(any_size.batches(images, None, "native"))
    assert [batch.indices for batch in batches] == [[0, 2], [1], [3]]
    torch.testing.assert_close(batches[0].pixels[1], normalised(images[2]))
    assert batches[1].pixels.shape == (1, 3, 33, 47)
    assert batches[2].pixels.shape == (1, 3, 32, 50)  # no smaller than one cell


def test_native_images_are_rounded_to_patches_within_a_bound(patches: Preparation):
    shapes = [
        tuple(batch.pixels.shape[2:])
        for size in ((60, 100), (120, 200), (7, 300))
        for batch in patches.batches([random_image(*size)], (64, 128), "native")
    ]
    # 60 x 100 fits and is rounded; 120 x 200 shrinks by 0.533; 7 x 300 to one row of patches.
    assert shapes == [(64, 96), (64, 112), (16, 128)]


def test_center_crop_is_open_clips_transform(patches: Preparation):
    from open_clip.transform import image_transform_v2

    image = random_image(90, 70)
    (batch,) = patches.batches([image], None, "center_crop")
    torch.testing.assert_close(batch.pixels[0], image_transform_v2(CONFIG, is_train=False)(image))
    squash = PreprocessCfg(size=(64, 64), resize_mode="squash")
    (batch,) = Preparation(squash, (16, 16), (16, 16)).batches([image], None, "center_crop")
    torch.testing.assert_close(batch.pixels[0], image_transform_v2(squash, is_train=False)(image))


def test_large_images_are_batched_in_small_numbers(any_size: Preparation):
    images = np.zeros((5, 1000, 1500, 3), np.uint8)
    batches = list(any_size.batches(images, None, "native"))
    assert [batch.indices for batch in batches] == [[0, 1], [2, 3], [4]]
    assert [len(batch.pixels) for batch in batches] == [2, 2, 1]


def test_bad_sizes_and_fits_are_refused(patches: Preparation):
    with pytest.raises(ValueError, match=r"50 x 64 .* give multiples of 16 x 16"):
        list(patches.batches([random_image(64, 64)], (50, 64), "stretch"))
    with pytest.raises(ValueError, match=r"'crop' .* center_crop, stretch, pad, native"):
        list(patches.batches([random_image(64, 64)], None, "crop"))  # pyright: ignore


@pytest.mark.parametrize("fit", ["center_crop", "stretch", "pad", "native"])
def test_the_size_of_the_model_need_not_be_a_multiple(fit: Fit):
    preparation = Preparation(PreprocessCfg(size=(76, 76)), (16, 16), (16, 16))
    images = [random_image(90, 70), random_image(76, 76, 1)]
    shapes = [batch.pixels.shape[2:] for batch in preparation.batches(images, (76, 76), fit)]
    # Native images are rounded, to no more than the bound.
    assert shapes == ([(64, 48), (64, 64)] if fit == "native" else [(76, 76)])


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_images_of_more_than_8_bits_are_refused(dtype: type):
    image = Image.fromarray(np.full((8, 8), 30_000, dtype))
    with pytest.raises(ValueError, match=f"8 bits per channel, not mode {image.mode}"):
        check_images([image])


@pytest.mark.parametrize("fit", ["center_crop", "stretch", "pad"])
def test_threads_prepare_the_same_pixels_as_one(patches: Preparation, fit: Fit, tmp_path: Path):
    path = tmp_path / "photo.png"
    random_image(90, 70).save(path)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            with Image.open(path) as opened:  # decoded by the first that reads it
                images = [opened, random_image(64, 50), opened, opened]
                (batch,) = patches.batches(images, None, fit)
            found.append(batch)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].pixels, found[1].pixels)
    assert np.array_equal(found[0].real, found[1].real)
