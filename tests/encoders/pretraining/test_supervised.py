import numpy as np
import pytest
import torch

from clipnav.encoders.pretraining.contrastive import scale_pooled_features
from clipnav.encoders.pretraining.supervised import (
    NO_LABEL,
    LabelledBatch,
    SingleLabel,
    SingleLabelBatch,
    Supervised,
    labels_loss,
)

COLOURS = np.array([(0.9, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.2, 0.9)], np.float32)


def test_the_loss_is_the_negative_log_likelihood_of_known_labels():
    rng = np.random.default_rng(0)
    rooms, things = rng.normal(size=(4, 3)), rng.normal(size=(4, 5))
    room = np.array([2, NO_LABEL, 0, NO_LABEL])
    shown = rng.random((4, 5)) < 0.4
    judged = shown | (rng.random((4, 5)) < 0.5)
    assert (~judged).any()
    room_loss = thing_loss = 0.0
    for b in range(4):
        if room[b] != NO_LABEL:
            shares = np.exp(rooms[b]) / np.exp(rooms[b]).sum()
            room_loss -= np.log(shares[room[b]])
        for t in range(5):
            chance = 1 / (1 + np.exp(-things[b, t]))
            if judged[b, t]:
                thing_loss -= np.log(chance if shown[b, t] else 1 - chance)
    batch = LabelledBatch(torch.zeros(4, 3, 8, 8), *map(torch.from_numpy, (room, shown, judged)))
    losses = labels_loss(torch.from_numpy(rooms), torch.from_numpy(things), batch)
    assert losses[0].item() == pytest.approx(room_loss / 4)
    assert losses[1].item() == pytest.approx(thing_loss / 4)


def colour_batch(rng: np.random.Generator, count: int = 12) -> LabelledBatch:
    """Draw images in which the colour determines the room; the object is in rooms 1 and 2."""
    room = rng.integers(3, size=count)
    means = COLOURS[room][:, :, None, None]
    images = np.clip(means + rng.normal(0, 0.1, (count, 3, 32, 32)), 0, 1).astype(np.float32)
    shown = torch.from_numpy(room[:, None] > 0)
    known = torch.from_numpy(np.where(rng.random(count) < 0.8, room, NO_LABEL))
    return LabelledBatch(torch.from_numpy(images), known, shown, torch.ones_like(shown))


def test_the_single_label_loss_is_the_cross_entropy_of_labelled_views(model):
    network = SingleLabel(model, 3).eval()
    drawn = colour_batch(np.random.default_rng(0), 20)
    batch = SingleLabelBatch(drawn.images, drawn.room)
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


@pytest.mark.parametrize("labels", ["all", "largest"])
def test_a_tiny_tower_learns_colours_and_the_text_tower_is_unchanged(model, train, labels):
    text = model.token_embedding.weight.clone()
    network = Supervised(model, 3, 1) if labels == "all" else SingleLabel(model, 3)
    rng = np.random.default_rng(0)

    def drawn(_):
        batch = colour_batch(rng)
        return batch if labels == "all" else SingleLabelBatch(batch.images, batch.room)

    losses = train(network, drawn)
    assert losses[-1] < (0.3 if labels == "all" else 0.4) * losses[0]
    network.eval()
    assert torch.equal(model.token_embedding.weight, text)
    batch = colour_batch(np.random.default_rng(1), 30)
    pixels = (batch.images.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    rooms, *things = network.classify(pixels)
    scale_pooled_features(model, 3.0)
    network.undo_feature_scale(3.0)
    for logits, expected in zip(network.classify(pixels), (rooms, *things), strict=True):
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    known = batch.room.numpy() != NO_LABEL
    assert (rooms.argmax(1) == batch.room.numpy())[known].mean() > 0.9
    for logits in things:
        assert ((logits > 0) == batch.shown.numpy()).mean() > 0.9
