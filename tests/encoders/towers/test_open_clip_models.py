"""The five CLIPs of the papers, with random weights, against open_clip's own forward pass."""

import math
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.towers.tower import image_tower

# Name: side in pixels and embedding width.
MODELS = {
    "RN50": (224, 1024),
    "RN101": (224, 512),
    "RN50x4": (288, 640),
    "ViT-B-32": (224, 512),
    "ViT-B-16": (224, 512),
}


def model_config(name: str) -> dict[str, Any]:
    """Return open_clip's configuration with a small text tower."""
    config = open_clip.get_model_config(name)
    assert config is not None
    return {**config, "text_cfg": {**config["text_cfg"], "width": 64, "heads": 1, "layers": 1}}


def random_model(name: str) -> CLIP:
    """Build a model of few layers with random weights that preserve the scale of activations."""
    config = model_config(name)
    layers = [1, 1, 1, 1] if name.startswith("RN") else 2
    with torch.device("meta"):
        model = CLIP(**{**config, "vision_cfg": {**config["vision_cfg"], "layers": layers}})
    model = model.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for key, tensor in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            tensor.zero_()
        elif key.endswith("running_var") or (key.endswith("weight") and tensor.ndim == 1):
            tensor.fill_(1)
        elif key.endswith(("running_mean", "bias")):
            tensor.fill_(0.01)
        else:
            fan_in = math.prod(tensor.shape[1:]) or 1
            spread = 0.02 if "embedding" in key else fan_in**-0.5
            tensor.uniform_(-1, 1, generator=generator).mul_(1.7 * spread)
    torch.nn.init.zeros_(model.attn_mask).fill_(-torch.inf).triu_(1)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_pooled_features_are_open_clips(name: str):
    side, width = MODELS[name]
    model = random_model(name)
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    pixels = torch.tensor((image / 255 - mean) / std).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        expected = model.encode_image(pixels).numpy()
    tokenizer = open_clip.get_tokenizer(name)
    encoder = ClipEncoder(model, tokenizer, name, "fp32", "cpu")
    assert encoder.image_size == (side, side)
    assert 0.01 < np.abs(expected).mean() < 10
    assert expected.shape == (1, width)
    np.testing.assert_allclose(encoder.pooled(image), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [  # sizes of CLIP-ViL's captioning and VQA
        ("RN50", (448, 448), (14, 14, 2048)),
        ("RN101", (600, 1000), (18, 31, 2048)),
        ("RN50x4", (600, 1000), (18, 31, 2560)),
        ("ViT-B-32", (448, 448), (14, 14, 768)),
        ("ViT-B-16", (224, 224), (14, 14, 768)),
    ],
)
def test_grid_shapes(name: str, size: tuple[int, int], shape: tuple[int, int, int]):
    with torch.device("meta"), torch.no_grad():  # shapes only
        tower = image_tower(CLIP(**model_config(name)).visual)
        images = torch.empty(1, 3, *size)
        assert tower.grid(images).shape == (1, *shape)
        assert tower.pooled(images).shape == (1, MODELS[name][1])
