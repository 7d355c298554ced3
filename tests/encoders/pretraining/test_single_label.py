import numpy as np
import pytest
import torch

from clipnav.encoders.pretraining.contrastive import scale_pooled_features
from clipnav.encoders.pretraining.supervised import NO_LABEL, SingleLabel, SingleLabelBatch

COLOURS = np.array([(0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.2, 0.9)], np.float32)


def colour_batch(rng: np.random.Generator, count: int = 12) -> SingleLabelBatch:
    """Draw images whose colour is the label; one fifth have no label."""
    colour = rng.integers(3, size=count)
    means = COLOURS[colour][:, :, None, None]
    images = np.clip(means + rng.normal(0, 0.1, (count, 3, 32, 32)), 0, 1).astype(np.float32)
    label = np.where(rng.random(count) < 0.8, colour, NO_LABEL)
    return SingleLabelBatch(torch.from_numpy(images), torch.from_numpy(label))


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


def test_a_tiny_tower_learns_colours_and_the_text_tower_is_unchanged(model, train):
    text = model.token_embedding.weight.clone()
    network = SingleLabel(model, 3)
    rng = np.random.default_rng(0)
    losses = train(network, lambda _: colour_batch(rng))
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
