import gc
import weakref

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from clipnav.agents.layers.accumulated import LSTMCell, RecurrentLinear


def twins(bias):
    """Return a RecurrentLinear and an nn.Linear with the same weights."""
    torch.manual_seed(0)
    ours, torchs = RecurrentLinear(5, 4, bias=bias), nn.Linear(5, 4, bias=bias)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def unroll(layer, inputs, steps=4):
    """Apply a layer repeatedly, with fewer rows at each step."""
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


def test_without_gradients_it_equals_nn_linear():
    ours, torchs = twins(True)
    with torch.inference_mode():
        assert torch.equal(ours(torch.ones(2, 5)), torchs(torch.ones(2, 5)))
    ours.requires_grad_(False)
    inputs = torch.ones(2, 5, requires_grad=True)
    ours(inputs).sum().backward()
    assert ours.weight.grad is None


def test_autocast_gives_gradients_of_full_precision_weights():
    ours, torchs = twins(True)
    for layer in (ours, torchs):
        with torch.autocast("cpu", torch.bfloat16):
            loss = unroll(layer, torch.ones(3, 5))
        loss.backward()
    assert ours.weight.grad.dtype == torch.float32
    torch.testing.assert_close(ours.weight.grad, torchs.weight.grad, rtol=0.05, atol=0.05)


def test_lstm_cell_equals_nn_lstm_cell():
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


def both(do):
    """Return the weight gradients after `do(layer)`, for both kinds of layers."""
    kept = []
    for layer in twins(True):
        do(layer)
        kept.append([weight.grad for weight in layer.parameters()])
    return kept


def walk_inputs(seed=0):
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def gradient_of_inputs_alone(layer):
    inputs = walk_inputs()
    torch.autograd.grad(unroll(layer, inputs), inputs)
    unroll(layer, walk_inputs(1)).backward()


def interrupted(layer):
    inputs = walk_inputs()
    middle = torch.tanh(layer(inputs))
    score = layer(nn.functional.pad(middle, (0, 1))).sum()

    def stop(_):
        raise KeyboardInterrupt

    hook = middle.register_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        score.backward(retain_graph=True)
    hook.remove()
    unroll(layer, walk_inputs(1)).backward()
    score.backward()


def two_walks_in_one_pass(layer):
    (unroll(layer, walk_inputs(0)) + 2 * unroll(layer, walk_inputs(1))).backward()


def the_same_walk_twice(layer):
    score = unroll(layer, walk_inputs())
    score.backward(retain_graph=True)
    score.backward()


def a_part_of_the_outputs(layer):
    inputs = walk_inputs()
    outputs = [layer(scale * inputs).square().sum() for scale in (1, 2, 3)]
    torch.autograd.grad(outputs[0] + outputs[2], inputs, retain_graph=True)
    (outputs[1] + outputs[2]).backward()


def a_pass_within_a_pass(layer):
    outer = layer(walk_inputs())

    def again(_):
        with torch.enable_grad():
            layer(walk_inputs(1)).square().sum().backward()

    outer.register_hook(again)
    (outer.square().sum() + layer(walk_inputs(2)).square().sum()).backward()


@pytest.mark.parametrize(
    "do",
    [
        gradient_of_inputs_alone,
        interrupted,
        two_walks_in_one_pass,
        the_same_walk_twice,
        a_part_of_the_outputs,
        a_pass_within_a_pass,
    ],
)
def test_every_backward_pass_collects_its_own_uses(do):
    ours, torchs = both(do)
    for mine, theirs in zip(ours, torchs, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_pass_that_skips_the_weights_leaves_no_gradients():
    layer, _ = twins(True)
    inputs = walk_inputs()
    kept = weakref.WeakSet()
    middle = layer(inputs)
    middle.register_hook(kept.add)
    torch.autograd.grad(layer(nn.functional.pad(middle, (0, 1))).sum(), inputs)
    del middle
    gc.collect()
    assert not list(kept)


def freeze_weight_for_a_walk(layer):
    layer.weight.requires_grad_(False)
    unroll(layer, walk_inputs()).backward()
    layer.weight.requires_grad_(True)
    unroll(layer, walk_inputs(1)).backward()


def other_weights(layer):
    unroll(layer, walk_inputs()).backward()
    weights = {name: 2 * value for name, value in layer.state_dict().items()}
    layer.load_state_dict(weights, assign=True)
    unroll(layer, walk_inputs(1)).backward()


@pytest.mark.parametrize("do", [freeze_weight_for_a_walk, other_weights])
def test_gradients_reach_replaced_weights(do):
    ours, torchs = both(do)
    for mine, theirs in zip(ours, torchs, strict=True):
        assert mine is not None
        torch.testing.assert_close(mine, theirs)


def test_gradients_of_gradients_are_refused():
    layer, _ = twins(True)
    inputs = walk_inputs()
    (gradient,) = torch.autograd.grad(unroll(layer, inputs), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.fixture
def one_process(tmp_path):
    """Process group with one rank."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1
    )
    yield
    gc.collect()  # a parallel module keeps the group
    distributed.destroy_process_group()


class Walk(nn.Module):
    """Module that applies a layer at each step."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, inputs):
        return unroll(self.layer, inputs)


def test_ddp_averages_the_gradients_of_all_uses(one_process):
    def train(layer):
        walk = DistributedDataParallel(Walk(layer))
        with walk.no_sync():
            walk(walk_inputs()).backward()
        walk(walk_inputs(1)).backward()

    def interrupted_training(layer):
        walk = DistributedDataParallel(Walk(layer))
        inputs = walk_inputs()
        torch.autograd.grad(layer(inputs).sum(), inputs)
        walk(walk_inputs(1)).backward()

    for do in (train, interrupted_training):
        ours, torchs = both(do)
        for mine, theirs in zip(ours, torchs, strict=True):
            torch.testing.assert_close(mine, theirs)
