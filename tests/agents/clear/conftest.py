"""Fixtures: golden outputs of the released code of CLEAR."""

import json
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file


class Golden(NamedTuple):
    """Settings and tensors of one golden output."""

    settings: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose names start with a prefix, without it."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


@pytest.fixture
def golden(golden_systems):
    """Function that reads a golden output by name."""

    def read(name):
        tensors = golden_systems / f"{name}.safetensors"
        settings = json.loads((golden_systems / f"{name}.json").read_text(encoding="utf-8"))
        return Golden(settings, load_file(tensors) if tensors.exists() else {})

    return read


@pytest.fixture
def check_close():
    """Function that compares with a golden tensor to 1e-5, with a gradient to relative 1e-4."""

    def check(actual, expected, gradient=False):
        scale = max(expected.abs().max().item(), 1e-4)  # float32 rounds smaller gradients
        bounds = {"atol": 1e-4 * scale, "rtol": 1e-4} if gradient else {"atol": 1e-5, "rtol": 0}
        actual = torch.as_tensor(actual).detach().reshape(expected.shape).to(expected.dtype)
        torch.testing.assert_close(actual, expected, **bounds)

    return check


@pytest.fixture
def load_encoder():
    """Function that loads weights by their released names into a `VisualEncoder`."""

    def load(encoder, weights):
        own = {k.replace("layers.", "ff_layer."): v for k, v in encoder.named_parameters()}
        assert own.keys() == weights.keys()
        for name, weight in own.items():
            weight.data.copy_(weights[name])
        return own

    return load
