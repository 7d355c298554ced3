"""Fixtures: golden outputs of the released code of CLEAR."""

import json
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clipnav.agents.clear.objects import OBJECTS_FILE, write_objects
from clipnav.agents.clear.pairing import pair_paths
from clipnav.agents.clear.settings import (
    LanguageConfig,
    LanguageEncoderConfig,
    PairPathsConfig,
    VisualConfig,
)
from clipnav.agents.clear.training import train
from clipnav.training.optimiser_settings import OptimiserConfig


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


@pytest.fixture(scope="session")
def language_config(doors):
    """Settings of a small language representation in the world of coloured doors."""
    return LanguageConfig(
        world="matterport",
        data_dir=doors,
        iterations=150,
        batch_size=8,
        temperature=0.1,
        evaluate_every=50,
        threads=1,
        max_instruction_length=24,
        encoder=LanguageEncoderConfig(
            vocabulary_size=300,
            hidden_size=32,
            layers=1,
            heads=2,
            feed_forward_size=64,
            dropout=0.0,
        ),
        optimiser=OptimiserConfig(learning_rate=3e-3, clip="norm", clip_at=5.0),
    )


@pytest.fixture(scope="session")
def language_run(language_config, tmp_path_factory):
    """Run of a language representation that has learned the colours."""
    run = tmp_path_factory.mktemp("language") / "run"
    train(replace(language_config, output=run))
    return run


@pytest.fixture(scope="session")
def paired_folder(doors, language_run, tmp_path_factory):
    """Folder of paired paths of that world, with random objects."""
    folder = tmp_path_factory.mktemp("pairs")
    pair_paths(PairPathsConfig(language_run, folder, "matterport", doors))
    rng = np.random.default_rng(0)
    keys = json.loads((doors / "r2r" / "R2R_train.json").read_text())
    scans = sorted({record["scan"] for record in keys})
    write_objects(
        folder / OBJECTS_FILE,
        {s: {f"{s}-{v}": rng.random((36, 27)) < 0.2 for v in "c0123"} for s in scans},
    )
    return folder


@pytest.fixture(scope="session")
def visual_config(doors, paired_folder):
    """Settings of a small visual representation in that world."""
    return VisualConfig(
        world="matterport",
        data_dir=doors,
        features=doors / "features.safetensors",
        pairs=paired_folder,
        iterations=6,
        batch_size=8,
        evaluate_every=3,
        threads=1,
        optimiser=OptimiserConfig(learning_rate=1e-2),
    )


@pytest.fixture(scope="session")
def visual_run(visual_config, tmp_path_factory):
    """Run of a visual representation."""
    run = tmp_path_factory.mktemp("visual") / "run"
    train(replace(visual_config, output=run))
    return run
