"""A linear layer for recurrent use, whose weight gradient is computed once per backward pass.

Backpropagation through time adds a matrix to the gradient of a weight at every step. With few rows
in a batch, computing and adding these matrices takes half of the time of a backward pass. This
layer collects the inputs and output gradients of all steps and multiplies them at the end.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from clipnav.agents.layers.collected_uses import CollectedUses


class _Collect(torch.autograd.Function):
    """Node between the weights and all uses; its backward runs after those of the uses."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, uses: CollectedUses) -> Tensor:
        ctx.uses, ctx.with_bias, ctx.dtype = uses, bias is not None, weight.dtype
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, Tensor | None, None]:  # type: ignore
        inputs, gradients = map(torch.cat, zip(*ctx.uses.take(), strict=True))  # (R, in), (R, out)
        weight = (gradients.t() @ inputs).to(ctx.dtype)  # (out, in)
        bias = gradients.sum(0, dtype=ctx.dtype) if ctx.with_bias else None
        return weight, bias, None


class _Use(torch.autograd.Function):
    """One use of the weights in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        token: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        uses: CollectedUses,
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.uses, ctx.token_type = uses, token.dtype
        return functional.linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore
        inputs, weight = ctx.saved_tensors
        ctx.uses.add((inputs.flatten(0, -2).to(gradient.dtype), gradient.flatten(0, -2)))
        inputs_gradient = (gradient @ weight.to(gradient.dtype)).to(inputs.dtype)
        return inputs_gradient, gradient.new_zeros((), dtype=ctx.token_type), None, None, None


class RecurrentLinear(nn.Linear):
    """nn.Linear for use at every step of a sequence, with a cheap backward pass."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self._collector: _Collector | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply the layer to inputs (..., in); return (..., out)."""
        weight, bias = self.weight, self.bias
        if not torch.is_grad_enabled() or not weight.requires_grad:
            return functional.linear(inputs, weight, bias)
        collector = self._collector
        if collector is None or not collector.is_of(weight, bias):
            collector = self._collector = _Collector(weight, bias)
        bias = None if bias is None else bias.detach()
        return _Use.apply(inputs, collector.token, weight.detach(), bias, collector.uses)  # type: ignore

    def __getstate__(self) -> dict[str, Any]:
        # A copy needs its own collector, because this one belongs to the graph of these weights.
        return {**self.__dict__, "_collector": None}


class _Collector:
    """A graph node over weight and bias, and the collections of backward passes.

    Attributes:
        uses: Collections of the backward passes.
        token: Output of the node, an input of every use.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias
        self._kind = self._describe(weight, bias)
        self.uses = CollectedUses()
        self.token: Tensor = _Collect.apply(weight, bias, self.uses)  # type: ignore

    def is_of(self, weight: Tensor, bias: Tensor | None) -> bool:
        """Return whether gradients would reach these weights in their present state."""
        same = self._weight is weight and self._bias is bias
        return same and self._kind == self._describe(weight, bias)

    @staticmethod
    def _describe(weight: Tensor, bias: Tensor | None) -> tuple[Any, ...]:
        return weight.dtype, weight.device, bias is not None and bias.requires_grad


class LSTMCell(nn.Module):
    """nn.LSTMCell with a single matrix product for inputs and state, and a single bias."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = RecurrentLinear(inputs + hidden, 4 * hidden)
        for weights in self.gates.parameters():
            nn.init.uniform_(weights, -(hidden**-0.5), hidden**-0.5)

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the next hidden state and cell (B, H) for inputs (B, in) and a state."""
        hidden, cell = state
        gates = self.gates(torch.cat([inputs, hidden], 1))  # (B, 4 H)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, 1)
        cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(candidate)
        return torch.sigmoid(output_gate) * torch.tanh(cell), cell
