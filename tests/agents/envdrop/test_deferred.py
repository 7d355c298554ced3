import copy

import pytest
import torch
from torch import nn

from agents.envdrop.deferred import LSTMCell, RecurrentLinear


def twins(bias):
    """A layer and torch's with the same weights."""
    torch.manual_seed(0)
    ours, torchs = RecurrentLinear(5, 4, bias=bias), nn.Linear(5, 4, bias=bias)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def unroll(layer, inputs, steps=4):
    """Use a layer again and again, with fewer rows from step to step."""
    values, total = inputs, inputs.new_zeros(())
    for step in range(steps):
        values = torch.tanh(nn.functional.pad(layer(values[step:]), (0, 1)))
        values = torch.cat([inputs[:step], values])
        total = total + values.square().sum()
    return total


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_those_of_torch(bias):
    ours, torchs = twins(bias)
    for seed in range(2):  # gradients add up over backward passes, as usual
        inputs = torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))
        one, other = inputs.clone().requires_grad_(), inputs.clone().requires_grad_()
        unroll(ours, one).backward()
        unroll(torchs, other).backward()
        torch.testing.assert_close(one.grad, other.grad)
    for mine, theirs in zip(ours.parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_graphs_do_not_get_into_each_others_way():
    ours, torchs = twins(True)
    kept = {}
    for layer in (ours, torchs):
        inputs = torch.ones(3, 5)
        first, _forgotten, last = (unroll(layer, scale * inputs) for scale in (1.0, 2.0, 3.0))
        last.backward()
        first.backward()
        kept[layer] = layer.weight.grad
    torch.testing.assert_close(kept[ours], kept[torchs])


def test_sequences_are_used_at_once():
    ours, torchs = twins(True)
    inputs = torch.randn(2, 3, 5)
    for layer in (ours, torchs):
        layer(inputs).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, torchs.bias.grad)


def test_without_gradients_it_is_plain():
    ours, torchs = twins(True)
    with torch.inference_mode():
        assert torch.equal(ours(torch.ones(2, 5)), torchs(torch.ones(2, 5)))
    ours.requires_grad_(False)
    inputs = torch.ones(2, 5, requires_grad=True)
    ours(inputs).sum().backward()
    assert ours.weight.grad is None


def test_copies_learn_by_themselves():
    ours, _ = twins(True)
    unroll(ours, torch.ones(3, 5)).backward()
    other = copy.deepcopy(ours)
    other.zero_grad()
    before = ours.weight.grad.clone()
    unroll(other, torch.ones(3, 5)).backward()
    torch.testing.assert_close(other.weight.grad, before)
    assert torch.equal(ours.weight.grad, before)


def test_autocast_gives_gradients_of_full_precision_weights():
    ours, torchs = twins(True)
    for layer in (ours, torchs):
        with torch.autocast("cpu", torch.bfloat16):
            loss = unroll(layer, torch.ones(3, 5))
        loss.backward()
    assert ours.weight.grad.dtype == torch.float32
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad, rtol=0.05, atol=0.05)


def test_lstm_cell_is_torchs():
    torch.manual_seed(0)
    ours, torchs = LSTMCell(5, 4), nn.LSTMCell(5, 4)
    with torch.no_grad():
        torchs.weight_ih.copy_(ours.gates.weight[:, :5])
        torchs.weight_hh.copy_(ours.gates.weight[:, 5:])
        torchs.bias_ih.copy_(ours.gates.bias)
        torchs.bias_hh.zero_()
    inputs, hidden, cell = torch.randn(3, 5), torch.randn(3, 4), torch.randn(3, 4)
    for mine, theirs in zip(
        ours(inputs, (hidden, cell)), torchs(inputs, (hidden, cell)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)
