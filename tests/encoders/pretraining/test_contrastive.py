import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.pretraining.contrastive import (
    CaptionBatch,
    Contrastive,
    export_local_dir,
    multi_positive_loss,
    scale_pooled_features,
)
from clipnav.encoders.pretraining.learner import EncoderLearner
from clipnav.encoders.pretraining.settings import PretrainEncoderConfig, default_optimiser
from clipnav.encoders.weights.loading import load_model
from clipnav.training.trainer import Trainer

COLOURS = {"red": (0.9, 0.1, 0.1), "green": (0.1, 0.8, 0.1), "blue": (0.1, 0.2, 0.9)}
TEXTS = [f"a {colour} picture" for colour in COLOURS]


def test_with_one_true_caption_per_view_it_is_clips_loss():
    logits = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))
    true = torch.eye(6, dtype=torch.bool)
    labels = torch.arange(6)
    clip = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    torch.testing.assert_close(multi_positive_loss(logits, true, ~true), clip)


def test_true_captions_do_not_compete_and_undecided_pairs_do_not_count():
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    true = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=torch.bool)
    false = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)

    def negative_log(pair, rivals) -> float:
        p, others = np.exp(logits[pair].item()), sum(np.exp(logits[r].item()) for r in rivals)
        return -np.log(p / (p + others))

    rows = [
        np.mean([negative_log((0, k), [(0, 2), (0, 3)]) for k in (0, 1)]),
        negative_log((1, 2), [(1, 0), (1, 1)]),
    ]
    columns = [
        negative_log((0, 0), [(1, 0), (2, 0)]),
        negative_log((0, 1), [(1, 1), (2, 1)]),
        negative_log((1, 2), [(0, 2), (2, 2)]),
    ]
    expected = (np.mean(rows) + np.mean(columns)) / 2
    loss = multi_positive_loss(logits, true, false)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    moved = logits.clone()
    moved[1, 3] = 50.0  # neither true nor false
    assert multi_positive_loss(moved, true, false).item() == pytest.approx(expected, rel=1e-5)


def test_without_true_pairs_the_loss_is_zero_and_differentiable():
    logits = torch.randn(2, 3, requires_grad=True)
    none = torch.zeros(2, 3, dtype=torch.bool)
    loss = multi_positive_loss(logits, none, none)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def colour_batch(rng: np.random.Generator, count: int = 24) -> tuple[CaptionBatch, np.ndarray]:
    labels = rng.integers(3, size=count)
    means = np.array(list(COLOURS.values()))[labels][:, :, None, None]
    images = np.clip(means + rng.normal(0, 0.1, (count, 3, 64, 64)), 0, 1).astype(np.float32)
    true = torch.from_numpy(labels[:, None] == np.arange(3))
    return CaptionBatch(torch.from_numpy(images), TEXTS, true, ~true), labels


def colour_batches(count: int) -> list[CaptionBatch]:
    rng = np.random.default_rng(0)
    return [colour_batch(rng)[0] for _ in range(count)]


def pretraining(
    model_dir: Path, run: Path, iterations: int, resume: Path | None = None, half: bool = False
) -> tuple[Trainer, Contrastive]:
    model, tokenizer, _ = load_model(str(model_dir), None)
    objective = Contrastive(model, tokenizer, half)
    optimiser = replace(default_optimiser(iterations), learning_rate=2e-3)
    config = PretrainEncoderConfig(
        iterations=iterations, save_every=2, optimiser=optimiser, output=run, resume=resume
    )
    batches = colour_batches(iterations)
    learner = EncoderLearner(objective, batches.__getitem__, optimiser)
    return Trainer(config, learner, lambda iteration: iteration), objective


def test_a_tower_in_bfloat16_has_nearly_the_same_loss(tiny_resnet: Path, tmp_path: Path):
    whole, half = (
        pretraining(tiny_resnet, tmp_path / str(half), 1, half=half)[0].step()["loss"]
        for half in (False, True)
    )
    assert half != whole
    assert half == pytest.approx(whole, abs=0.05)


def test_a_tiny_clip_learns_colours(tiny_resnet: Path, tmp_path: Path):
    trainer, objective = pretraining(tiny_resnet, tmp_path, 60)
    losses = [trainer.step()["loss"] for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]
    model = objective.model.eval()
    encoder = ClipEncoder(model, objective._tokenize, "colours", device="cpu")
    batch, labels = colour_batch(np.random.default_rng(1), 30)
    pixels = (batch.images.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    nearest = (encoder.pooled(pixels) @ encoder.text(TEXTS).T).argmax(1)
    assert (nearest == labels).mean() > 0.9


def test_resume_is_bit_identical(tiny_resnet: Path, tmp_path: Path, check_same_run):
    whole, expected = pretraining(tiny_resnet, tmp_path / "whole", 4)
    whole.train()
    first, _ = pretraining(tiny_resnet, tmp_path / "parts", 4)
    first.step()
    first.step()
    first.save()
    first.close()
    second, resumed = pretraining(tiny_resnet, tmp_path / "parts", 4, resume=first.run)
    second.train()
    check_same_run(whole, second)
    assert len(expected.words) > len(TEXTS)
    assert resumed.words == expected.words


def test_an_exported_model_has_the_same_features(tiny_resnet: Path, tmp_path: Path):
    model, tokenizer, _ = load_model(str(tiny_resnet), None)
    config = json.loads((tiny_resnet / "open_clip_config.json").read_text())
    words = set(tokenizer(TEXTS).flatten().tolist())
    size = export_local_dir(model, config["model_cfg"], config["preprocess_cfg"], tmp_path, words)
    assert size == (tmp_path / "open_clip_model.safetensors").stat().st_size
    assert len(list(tmp_path.iterdir())) == 2
    before = ClipEncoder.load(str(tiny_resnet), device="cpu")
    after = ClipEncoder.load(str(tmp_path), device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    np.testing.assert_allclose(after.pooled(pixels), before.pooled(pixels), rtol=0.05, atol=0.02)
    np.testing.assert_allclose(after.text(TEXTS), before.text(TEXTS), atol=5e-3)
    embedding = after.model.token_embedding.weight
    assert (embedding.abs().sum(1) > 0).sum() == len(words)


def test_scaling_features_keeps_their_directions(tiny_resnet: Path):
    model, _, _ = load_model(str(tiny_resnet), None)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model.encode_image(images)
        scale_pooled_features(model, 3.0)
        torch.testing.assert_close(model.encode_image(images), 3 * before)
