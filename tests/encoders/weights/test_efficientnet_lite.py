"""EfficientNet-Lite0: its names, its features and its refusals."""

import importlib.util

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights.efficientnet_lite import NAME, timm_name, weights_file
from clipnav.encoders.weights.loading import load_model
from clipnav.encoders.weights.weight_files import read_weights

# Kernel and stride of the blocks in order (TensorFlow's efficientnet_lite_builder.py).
KERNELS = [3] * 3 + [5] * 2 + [3] * 3 + [5] * 7 + [3]
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Weights by the names in the package."""
    return read_weights(weights_file())[0]


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return ClipEncoder.load(NAME, precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, 14, 14, 3)).astype(np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


def convolved(x, weight, stride=1, groups=1):
    """Convolve with TensorFlow's padding "same", whose surplus pixel is below and at the right."""
    kernel, size = weight.shape[-1], x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    x = F.pad(x, (total // 2, total - total // 2) * 2)
    return F.conv2d(x, weight, stride=stride, groups=groups)


def second_derivation(weights, x):
    """Compute the feature map (B, 1280, 7, 7) without timm."""

    def norm(x, name):
        parts = [weights[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts, eps=1e-3)

    x = F.relu6(norm(convolved(x, weights["_conv_stem.weight"], 2), "_bn0"))
    for block, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True)):
        name, entry = f"_blocks.{block}.", x
        if block:
            x = convolved(x, weights[f"{name}_expand_conv.weight"])
            x = F.relu6(norm(x, f"{name}_bn0"))
        depthwise = weights[f"{name}_depthwise_conv.weight"]
        assert depthwise.shape[-1] == kernel
        x = F.relu6(norm(convolved(x, depthwise, stride, len(depthwise)), f"{name}_bn1"))
        x = norm(convolved(x, weights[f"{name}_project_conv.weight"]), f"{name}_bn2")
        if stride == 1 and x.shape == entry.shape:
            x = x + entry
    return F.relu6(norm(convolved(x, weights["_conv_head.weight"]), "_bn1"))


def test_features_equal_those_of_a_second_derivation(encoder, weights, images):
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        expected = second_derivation(weights, pixels).permute(0, 2, 3, 1).numpy()
    grid = encoder.grid(images)
    assert grid.shape == (2, 7, 7, 1280)
    np.testing.assert_allclose(grid, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(encoder.pooled(images), expected.mean((1, 2)), rtol=1e-3, atol=1e-3)
    assert (encoder.name, encoder.embed_dim, encoder.image_size) == (NAME, 1280, (224, 224))


def test_every_weight_has_a_name_of_its_own(weights):
    trunk = load_model(NAME)[0].visual.trunk
    named = [timm_name(name) for name in weights if not name.startswith("_fc.")]
    assert sorted(named) == sorted(trunk.state_dict())
    for name in ("_blocks.16._bn1.weight", "_blocks.0._expand_conv.weight", "_swish.weight"):
        with pytest.raises(ValueError, match=f"{name} is not part of the network"):
            timm_name(name)


def test_sentences_are_refused(encoder):
    with pytest.raises(ValueError, match="efficientnet-lite0 encodes images only; use an encoder"):
        encoder.text(["a room"])


def test_two_loadings_have_the_same_weights_and_random_ones_differ(encoder):
    assert ClipEncoder.load(NAME, device="cpu").weights_sha256 == encoder.weights_sha256
    random = ClipEncoder.load(NAME, device="cpu", random_weights=True)
    assert random.name == "efficientnet-lite0/random"
    assert random.weights_sha256 != encoder.weights_sha256
    with pytest.raises(ValueError, match="has its own weights; leave out 'openai'"):
        load_model(NAME, "openai")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'clipnav\[bench\]'"):
        load_model(NAME)
