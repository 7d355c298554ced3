"""Fixtures: golden outputs of the released code of CLEAR."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

_BESIDE = Path(__file__).resolve().parents[4] / "shared" / "golden" / "systems"


class Golden(NamedTuple):
    """Settings and tensors of one golden output."""

    settings: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors whose names start with a prefix, without it."""
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    """Folder of the golden outputs of whole systems."""
    folder = Path(os.environ.get("CLIPNAV_GOLDEN_SYSTEMS") or _BESIDE)
    if not folder.is_dir():
        pytest.skip(f"golden outputs not found: {folder}; set CLIPNAV_GOLDEN_SYSTEMS")
    return folder


@pytest.fixture
def golden(golden_folder):
    """Function that reads a golden output by name."""

    def read(name):
        tensors = golden_folder / f"{name}.safetensors"
        settings = json.loads((golden_folder / f"{name}.json").read_text(encoding="utf-8"))
        return Golden(settings, load_file(tensors) if tensors.exists() else {})

    return read


@pytest.fixture
def check_close():
    """Function that compares with a golden tensor to 1e-5, with a gradient to relative 1e-4."""

    def check(actual, expected, gradient=False):
        scale = expected.abs().max().item()
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
