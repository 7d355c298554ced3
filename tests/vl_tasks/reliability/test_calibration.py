from itertools import pairwise

import numpy as np
import pytest
import torch

from clipnav.training.optimisers import make_optimiser
from clipnav.vl_tasks.reliability.methods import (
    VectorScaling,
    bin_edges,
    expected_calibration_error,
    max_prob,
)
from clipnav.vl_tasks.reliability.settings import selector_defaults
from clipnav.vl_tasks.vqa.task import answer_loss


def test_a_fixed_run_is_that_of_the_original(golden_system):
    _, tensors = golden_system("reliable_calibration")
    logits, targets = tensors["input.logits"], tensors["input.targets"]
    losses = tensors["output.loss_of_each_update"]
    scaling = VectorScaling(logits.shape[1])
    optimiser = make_optimiser(scaling, selector_defaults("calibration").optimiser)
    batches = [slice(start, start + 16) for start in range(0, len(logits), 16)]
    for update, expected in enumerate(losses):
        rows = batches[update % len(batches)]
        loss = answer_loss(scaling(logits[rows]), targets[rows])
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5, rel=1e-6)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(scaling.weight.detach(), tensors["output.weight"], **close)
    torch.testing.assert_close(scaling.bias.detach(), tensors["output.bias"], **close)
    found = scaling(logits).detach()
    torch.testing.assert_close(found, tensors["output.calibrated_logits"], **close)


def test_the_unknown_answer_has_no_probability():
    logits = torch.tensor([[3.0, 1.0, 0.0]])
    assert max_prob(logits, None).classes.tolist() == [0]
    found = max_prob(logits, 0)
    assert found.classes.tolist() == [1]
    assert found.confidence.item() == pytest.approx(1 / (1 + np.exp(-1)))
    assert logits.tolist() == [[3.0, 1.0, 0.0]]


def test_calibration_error_is_that_of_the_original(golden_system):
    about, tensors = golden_system("reliable_metrics")
    accuracy = np.round(tensors["input.val.accuracy"].double().numpy(), 6)
    confidence = np.round(tensors["input.val.confidence"].double().numpy(), 6)
    expected = about["val"]["ece of (accuracy >= .6) in 20 bins"]
    found = expected_calibration_error((accuracy >= 0.6).astype(float), confidence)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("bins", [10, 15, 20, 25])
def test_bins_have_the_edges_of_the_original(bins):
    edges = bin_edges(bins).tolist()
    np.testing.assert_allclose(edges, torch.linspace(0, 1, bins + 1), rtol=0, atol=1e-7)
    rng = np.random.default_rng(bins)
    cases = [(np.array([1.0, 0.0]), np.array([0.6, 0.2]))]  # at edges of 15 bins
    for _ in range(40):
        count = int(rng.integers(5, 80))
        cases.append((rng.integers(0, 2, count).astype(float), np.round(rng.random(count), 2)))
    for accuracy, confidence in cases:
        expected, single = 0.0, confidence.astype(np.float32)
        for low, high in pairwise(edges):
            inside = (single > low) & (single <= high)
            if inside.any():
                gap = abs(confidence[inside].mean() - accuracy[inside].mean())
                expected += gap * inside.mean()
        found = expected_calibration_error(accuracy, confidence, bins)
        assert found == pytest.approx(expected, abs=1e-6)


def test_calibration_error_and_edges_by_hand():
    # Two bins of 0.5: (0.2, 0.4) with accuracies (0, 1), and 1.0 with accuracy 0.5.
    found = expected_calibration_error(np.array([0, 1, 0.5]), np.array([0.2, 0.4, 1.0]), bins=2)
    assert found == pytest.approx((2 * abs(0.3 - 0.5) + abs(1 - 0.5)) / 3)
    # Edges of processors with fused multiply-add.
    assert bin_edges(15)[[3, 6, 12]].tolist() == np.float32([0.2 + 2e-8, 0.4 + 3e-8, 0.8]).tolist()
    assert bin_edges(20)[11] == np.float32(0.55)
