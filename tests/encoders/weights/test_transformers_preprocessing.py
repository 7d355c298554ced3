"""Preprocessing of generated folders of transformers, against its own image processors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.transform import PreprocessCfg
from PIL import Image

from clipnav.encoders.preparation import Preparation
from clipnav.encoders.weights.transformers_weights import image_processor, read_preprocessing
from clipnav.storage.errors import UserError

SIZE = 64
SQUARE = {"height": SIZE, "width": SIZE}
OPENAI = {
    "crop_size": SIZE,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": list(OPENAI_DATASET_MEAN),
    "image_std": list(OPENAI_DATASET_STD),
    "resample": 3,
    "size": SIZE,
}
RECENT = {**OPENAI, "size": {"shortest_edge": SIZE}, "crop_size": SQUARE}


@pytest.fixture
def ramp() -> np.ndarray:
    """Image that is higher than wide."""
    return np.linspace(0, 255, 150 * 100 * 3).reshape(150, 100, 3).astype(np.uint8)


def write_processor(folder: Path, settings: dict[str, Any]) -> Path:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(OPENAI, id="OpenAI"),
        pytest.param({**RECENT, "do_rescale": True, "rescale_factor": 0.0039215686}, id="recent"),
        pytest.param({**RECENT, "do_normalize": False}, id="without normalisation"),
        pytest.param({**RECENT, "size": SQUARE}, id="square with an idle crop"),
        pytest.param({**RECENT, "size": SQUARE, "do_center_crop": False}, id="square"),
        pytest.param(
            {**OPENAI, "default_to_square": True, "crop_size": [SIZE, SIZE]}, id="square of numbers"
        ),
        pytest.param(
            {**RECENT, "size": SQUARE, "do_center_crop": None, "do_normalize": None}, id="with null"
        ),
    ],
)
def test_pixels_are_those_of_transformers(
    settings: dict[str, Any], ramp: np.ndarray, tmp_path: Path
):
    from transformers import CLIPImageProcessorPil

    folder = write_processor(tmp_path, settings)
    config = PreprocessCfg(**{**read_preprocessing(folder, SIZE), "size": (SIZE, SIZE)})
    (batch,) = Preparation(config, (1, 1), (1, 1)).batches([ramp], None, "center_crop")
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    pixels = processor(Image.fromarray(ramp), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(batch.pixels, pixels, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"do_resize": False}, "do_resize is False"),
        ({"do_resize": None}, "do_resize is None"),
        ({"do_rescale": False}, "do_rescale is False"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor is 0.0078"),
        ({"rescale_factor": "1/255"}, "rescale_factor is 1/255"),
        ({"use_square_size": True}, "use_square_size is True"),
        ({"do_center_crop": False}, "do_center_crop is False"),
        ({"size": {"shortest_edge": 73}}, "size is {'shortest_edge': 73}"),
        ({"size": {"shortest_edge": SIZE, "longest_edge": 80}}, "size is .*longest_edge"),
        ({"size": {"height": 73, "width": 73}}, "size is .*73"),
        ({"size": None}, "size is {'shortest_edge': 224}, the default of transformers"),
        ({"crop_size": 48}, "crop_size is 48"),
        ({"size": SQUARE, "crop_size": {"height": 48, "width": SIZE}}, "crop_size is .*48"),
    ],
)
def test_settings_that_open_clip_lacks_are_refused(
    changes: dict[str, Any], field: str, tmp_path: Path
):
    folder = write_processor(tmp_path, {**RECENT, **changes})
    with pytest.raises(UserError, match=rf"preprocessor_config\.json: {field}.* of 64 x 64 pixels"):
        read_preprocessing(folder, SIZE)


@pytest.mark.parametrize("mode", ["shortest", "squash"])
def test_conversion_to_and_from_transformers_keeps_the_resizing(mode: str, tmp_path: Path):
    settings = image_processor({"resize_mode": mode}, SIZE, tmp_path)
    preprocessing = read_preprocessing(write_processor(tmp_path, settings), SIZE)
    assert preprocessing.get("resize_mode", "shortest") == mode


def test_images_that_are_not_square_are_resized_whole(tmp_path: Path):
    whole = {**RECENT, "size": {"height": 96, "width": SIZE}, "do_center_crop": False}
    preprocessing = read_preprocessing(write_processor(tmp_path, whole), (96, SIZE))
    assert preprocessing["resize_mode"] == "squash"
    cropped = {**RECENT, "crop_size": {"height": 96, "width": SIZE}}
    with pytest.raises(UserError, match=r"size is .*of 96 x 64 pixels"):
        read_preprocessing(write_processor(tmp_path, cropped), (96, SIZE))
