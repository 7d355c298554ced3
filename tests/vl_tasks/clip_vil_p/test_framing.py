"""Sizes and places of images in their frames."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.pictures import prepare
from tests.vl_tasks.small_networks import preset

PHOTOS = [
    (640, 480), (480, 640), (640, 427), (427, 640), (500, 333), (333, 500), (500, 500),
    (612, 612), (384, 384), (640, 384), (600, 200), (200, 600), (501, 500), (500, 501),
    (1000, 151), (151, 1000), (641, 480), (384, 512), (4000, 3),
]  # fmt: skip  # width and height


def photo(size):
    rng = np.random.default_rng(size)
    return Image.fromarray(rng.integers(1, 256, (size[1], size[0], 3), np.uint8))


def test_images_keep_their_aspect_ratio_and_are_centred():
    framing = Framing(384, 640)
    for size, resized in {
        (480, 640): (384, 512),
        (640, 480): (512, 384),
        (300, 1000): (192, 640),
        (500, 500): (384, 384),
        (333, 500): (384, 577),
    }.items():
        assert framing.resized(*size) == resized
    wide = prepare(Image.new("RGB", (100, 30), (9, 9, 9)), Framing(32, 64))
    assert (wide.pixels.shape, wide.box) == ((3, 32, 64), (6, 0, 19, 64))
    assert (wide.pixels[:, 6:25] == 9).all()
    assert wide.pixels.sum() == 9 * 3 * 19 * 64


@pytest.mark.parametrize("size", PHOTOS)
def test_faithful_images_have_the_sizes_and_padding_of_the_original(size):
    framing = preset("pretrain-vl", "rn50-stage-1").framing
    image = photo(size)
    # vision_helpers.py, derived again: Resize(384, 640), then PadToGivenSize(384, 640).
    ratio, shorter = max(size) / min(size), 384
    if ratio * shorter > 640:
        shorter = max(round(640 * min(size) / max(size)), 1)
    width, height = (
        shorter if side == min(size) else int(shorter * side / min(size)) for side in size
    )
    columns, rows = (384, 640) if width <= height else (640, 384)
    resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    expected = np.zeros((rows, columns, 3), np.uint8)
    top, left = (int(np.ceil((a - b) / 2)) for a, b in ((rows, height), (columns, width)))
    ends = min(top + height, rows), min(left + width, columns)
    inner = slice(max(top, 0), ends[0]), slice(max(left, 0), ends[1])
    cut = max(-top, 0), max(-left, 0)
    shown = resized[cut[0] :, cut[1] :][: ends[0] - max(top, 0), : ends[1] - max(left, 0)]
    expected[inner] = shown
    found = prepare(image, framing)
    assert found.pixels.shape == (3, rows, columns)
    assert (found.pixels == expected.transpose(2, 0, 1)).all()
    assert found.box == (max(top, 0), max(left, 0), *shown.shape[:2])
    assert framing.is_portrait(size[1], size[0]) == (rows > columns)


@pytest.mark.parametrize("size", [one for one in PHOTOS if max(one) < 2000])
def test_faithful_multilingual_images_are_cut_out_of_the_centre(size):
    framing = preset("pretrain-vl", "multilingual").framing
    image = photo(size)
    resize = Resize([224], InterpolationMode.BICUBIC)
    expected = np.asarray(CenterCrop(224)(resize(image)))
    found = prepare(image, framing)
    assert (found.pixels == expected.transpose(2, 0, 1)).all()
    assert found.box == (0, 0, 224, 224)


@pytest.mark.parametrize("rule", ["ours", "clip-vil", "multilingual-vqa"])
def test_images_have_the_orientation_that_their_batch_has(rule):
    framing = Framing(64, 96, rule)
    for size in ((390, 389), (389, 390), (390, 390), (400, 300)):  # almost square ones, too
        is_portrait = framing.is_portrait(*size)
        pixels = prepare(photo(size[::-1]), framing).pixels
        assert pixels.shape[1:] == ((96, 64) if is_portrait else (64, 96))
