"""Weights and gradients of training runs."""

import torch

from clipnav.training.checkpoints import load_trainer


def weights_of(run):
    """Return the weights of the training state of a run, by name."""
    return load_trainer(run)["weights"]


def assert_equal_weights(one, other):
    """Check that weights, by name, are equal bit for bit."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def assert_same_first_gradient(one, other):
    """Check that two runs (folders) of one iteration with Adam had the same gradient."""
    gradients = [
        # After one step of Adam its mean of gradients is a tenth of the first one.
        {n: 10 * s["exp_avg"] for n, s in load_trainer(run)["optimiser"]["state"].items()}
        for run in (one, other)
    ]
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(float(gradient.abs().max()) for gradient in gradients[0].values())
    assert largest > 1e-4
    for number, gradient in gradients[0].items():
        close = {"atol": 3e-5 * largest, "rtol": 1e-4}
        torch.testing.assert_close(gradients[1][number], gradient, **close)
