"""Loss of imitation against a computation by hand."""

import numpy as np
import pytest
import torch

from clipnav.agents.continuous.collecting import Demonstration
from clipnav.agents.continuous.networks import Output
from clipnav.agents.continuous.training import imitation_loss, make_batch, progress_loss


def walk(labels, progress):
    count = len(labels)
    return Demonstration(
        0,
        np.ones((count, 2, 3), np.float16),
        np.ones((count, 4, 4), np.float16),
        np.zeros(count, np.int8),
        np.array(labels, np.int8),
        np.array(progress, np.float32),
    )


@pytest.fixture
def batch():
    walks = [walk([1, 1, 2, 0], [0.0, 0.2, 0.5, 1.0]), walk([3, 0], [0.0, 0.4])]
    return make_batch(walks, np.ones((2, 5), np.int32), 3.2, "cpu")


def test_weights_of_inflections(batch):
    np.testing.assert_allclose(batch.weights, [[3.2, 1.0, 3.2, 3.2], [3.2, 3.2, 0.0, 0.0]])
    assert batch.labels.tolist() == [[1, 1, 2, 0], [3, 0, -100, -100]]
    assert batch.steps.rgb.shape == (2, 4, 2, 3)


def test_each_walk_has_the_same_weight(batch):
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 4)
    log_probs = logits.log_softmax(-1).numpy()
    expected = []
    for row, labels in enumerate(([1, 1, 2, 0], [3, 0])):
        weights = batch.weights[row, : len(labels)].numpy()
        losses = [-log_probs[row, k, label] for k, label in enumerate(labels)]
        expected.append((weights * losses).sum() / weights.sum())
    loss = imitation_loss(Output(logits, None, logits), batch)
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-6)


def test_progress_of_padding_does_not_count(batch):
    progress = torch.full((2, 4), 0.1)
    expected = np.mean([(0.1 - value) ** 2 for value in (0.0, 0.2, 0.5, 1.0, 0.0, 0.4)])
    loss = progress_loss(Output(torch.zeros(2, 4, 4), progress, progress), batch)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
