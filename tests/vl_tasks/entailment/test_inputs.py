"""Inputs of the entailment networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clipnav.encoders.clip import ClipEncoder
from clipnav.vl_tasks.data.images import read_image
from clipnav.vl_tasks.data.pairs import Hypothesis
from clipnav.vl_tasks.entailment.settings import EntailmentConfig
from clipnav.vl_tasks.entailment.task import TowerInputs
from clipnav.vl_tasks.settings.networks import GridConfig
from clipnav.vl_tasks.text.sentences import build_vocabulary

WORDS = build_vocabulary(["it is red"])
GRIDS = GridConfig(precision="fp32", fit="stretch", image_size=(64, 96))


@pytest.fixture
def images(shapes):
    return {path.stem: path for path in sorted((shapes / "images" / "val").iterdir())}


def test_two_towers_encode_images_at_the_size_and_fit_of_the_run(images, monkeypatch):
    config = EntailmentConfig(model="two-tower", grids=GRIDS)
    hypotheses = [Hypothesis(name, name, "it is red", 0) for name in images]
    rows = np.array([3, 1])
    kept = TowerInputs(config, images, WORDS)
    pictures, texts = kept.batch(hypotheses, kept.encode(hypotheses), rows)
    encoder = ClipEncoder.load("house_clip", precision="fp32", device="cpu")
    shown = [read_image(images[hypotheses[row].image_id]) for row in rows]
    pooled = torch.from_numpy(encoder.pooled(shown, (64, 96), "stretch"))
    expected = torch.nn.functional.normalize(pooled, dim=1)
    torch.testing.assert_close(pictures, expected, rtol=1e-2, atol=1e-3)
    assert texts.shape == pictures.shape
    assert kept.metadata["picture size"] == "(64, 96)"
    # What is on disk is not worked out again.
    monkeypatch.setattr(ClipEncoder, "pooled", lambda *_: pytest.fail("encodes"))
    again = TowerInputs(config, images, WORDS)
    assert torch.equal(again.batch(hypotheses, texts, np.array([0, 1]))[0][1], pictures[1])


def test_two_towers_with_default_size_and_fit_load_earlier_runs(images):
    config = EntailmentConfig(model="two-tower", grids=GridConfig(precision="fp32"))
    inputs = TowerInputs(config, images, WORDS)
    assert inputs.metadata == {"encoder": inputs.encoder.weights_sha256, "vision": "True"}
    blind = TowerInputs(replace(config, vision=False), {}, WORDS)
    assert blind.metadata == {"encoder": inputs.encoder.weights_sha256, "vision": "False"}
    assert blind.width == inputs.width
