from dataclasses import replace

import numpy as np
import pytest
import torch
from open_clip.model import CLIP, set_model_preprocess_cfg

from encoders.pretraining.contrastive import scale_pooled_features
from encoders.pretraining.learner import PretrainingLearner
from encoders.pretraining.settings import PretrainConfig, default_optimiser
from encoders.pretraining.single_label import SingleLabel, SingleLabelBatch
from encoders.pretraining.supervised import NO_LABEL
from training.trainer import Trainer

COLOURS = np.array([(0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.2, 0.9)], np.float32)


def colour_batch(rng: np.random.Generator, count: int = 12) -> SingleLabelBatch:
    """Draw images whose colour is the label; one fifth have no label."""
    colour = rng.integers(3, size=count)
    means = COLOURS[colour][:, :, None, None]
    images = np.clip(means + rng.normal(0, 0.1, (count, 3, 32, 32)), 0, 1).astype(np.float32)
    label = np.where(rng.random(count) < 0.8, colour, NO_LABEL)
    return SingleLabelBatch(torch.from_numpy(images), torch.from_numpy(label))


@pytest.fixture
def model() -> CLIP:
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
    text = {"context_length": 8, "vocab_size": 100, "width": 16, "heads": 2, "layers": 1}
    model = CLIP(embed_dim=32, vision_cfg=vision, text_cfg=text)  # type: ignore[arg-type]
    set_model_preprocess_cfg(model, {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]})
    return model


def test_the_loss_is_the_cross_entropy_of_labelled_views(model):
    network = SingleLabel(model, 3).eval()
    batch = colour_batch(np.random.default_rng(0), 20)
    logits = network(batch.images).detach().double().numpy()
    expected = 0.0
    for row, label in zip(logits, batch.label.tolist(), strict=True):
        if label != NO_LABEL:
            expected -= np.log(np.exp(row[label]) / np.exp(row).sum()) / 20
    loss, figures = network.loss(batch)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    known = batch.label.numpy() != NO_LABEL
    correct = (logits.argmax(1) == batch.label.numpy())[known].mean()
    assert figures["accuracy"] == pytest.approx(correct)


def test_views_without_a_label_have_no_gradient(model):
    network = SingleLabel(model, 3)
    batch = SingleLabelBatch(torch.rand(2, 3, 32, 32), torch.full((2,), NO_LABEL))
    loss, _ = network.loss(batch)
    loss.backward()
    assert loss.item() == 0
    assert not network.head.weight.grad.any()


def test_a_tiny_tower_learns_colours_and_the_text_tower_is_unchanged(model, tmp_path):
    text = model.token_embedding.weight.clone()
    network = SingleLabel(model, 3)
    rng = np.random.default_rng(0)
    optimiser = replace(default_optimiser(60), learning_rate=2e-3)
    config = PretrainConfig(iterations=60, optimiser=optimiser, output=tmp_path)
    learner = PretrainingLearner(network, lambda _: colour_batch(rng), optimiser)
    trainer = Trainer(config, learner, lambda iteration: iteration)
    losses = [trainer.step()["loss"] for _ in range(60)]
    assert losses[-1] < 0.4 * losses[0]
    network.eval()
    assert torch.equal(model.token_embedding.weight, text)
    batch = colour_batch(np.random.default_rng(1), 30)
    pixels = (batch.images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    (logits,) = network.classify(pixels)
    scale_pooled_features(model, 3.0)
    network.undo_feature_scale(3.0)
    np.testing.assert_allclose(network.classify(pixels)[0], logits, rtol=1e-4, atol=1e-4)
    known = batch.label.numpy() != NO_LABEL
    assert (logits.argmax(1) == batch.label.numpy())[known].mean() > 0.9
