"""A linear layer for recurrent use, whose weight gradient is computed once per backward pass.

Backpropagation through time adds a matrix to the gradient of a weight at every step. With few rows
in a batch, computing and adding these matrices takes half of the time of a backward pass. This
layer collects the inputs and output gradients of all steps and multiplies them at the end.
"""

from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class _Pass:
    """Inputs and output gradients that one backward pass has collected so far."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []


class _Uses:
    """Collected inputs and gradients of every backward pass in progress.

    A pass may end before it reaches the weights: `torch.autograd.grad` with respect to inputs does
    so, and so does a pass that raises an exception. Its collection is then discarded and never
    added to that of a later pass. The two private functions of torch are those that its own
    checkpointing and FSDP use to identify passes and their ends.
    """

    def __init__(self) -> None:
        self._passes: WeakValueDictionary[int, _Pass] = WeakValueDictionary()

    def add(self, inputs: Tensor, gradients: Tensor) -> None:
        """Add inputs (R, in) and output gradients (R, out) to those of the current pass."""
        task = torch._C._current_graph_task_id()
        collected = self._passes.get(task)
        if collected is None:
            collected = self._passes[task] = _Pass()
            # The engine holds the callback, and with it the collection, until the pass ends in
            # any way; the dictionary has weak references only.
            torch.autograd.Variable._execution_engine.queue_callback(partial(_end, collected))
        collected.inputs.append(inputs)
        collected.gradients.append(gradients)

    def take(self) -> tuple[Tensor, Tensor]:
        """Remove and return all inputs (R, in) and gradients (R, out) of the current pass."""
        collected = self._passes.pop(torch._C._current_graph_task_id())
        inputs, gradients = torch.cat(collected.inputs), torch.cat(collected.gradients)
        collected.inputs.clear()
        collected.gradients.clear()
        return inputs, gradients


def _end(_: _Pass) -> None:
    """Callback of the engine at the end of a pass, which releases the collection."""


class _Collect(torch.autograd.Function):
    """Node between the weights and all uses; its backward runs after those of the uses."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, uses: _Uses) -> Tensor:
        ctx.uses, ctx.with_bias, ctx.dtype = uses, bias is not None, weight.dtype
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, Tensor | None, None]:  # type: ignore
        inputs, gradients = ctx.uses.take()
        weight = (gradients.t() @ inputs).to(ctx.dtype)  # (out, in)
        bias = gradients.sum(0, dtype=ctx.dtype) if ctx.with_bias else None
        return weight, bias, None


class _Use(torch.autograd.Function):
    """One use of the weights in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, token: Tensor, weight: Tensor, bias: Tensor | None, uses: _Uses
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.uses, ctx.token_type = uses, token.dtype
        return functional.linear(inputs, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore
        inputs, weight = ctx.saved_tensors
        ctx.uses.add(inputs.flatten(0, -2).to(gradient.dtype), gradient.flatten(0, -2))
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

    Args:
        weight: (out, in).
        bias: (out,).

    Attributes:
        uses: Collections of the backward passes.
        token: Output of the node, an input of every use.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias
        self._kind = self._describe(weight, bias)
        self.uses = _Uses()
        self.token: Tensor = _Collect.apply(weight, bias, self.uses)  # type: ignore

    def is_of(self, weight: Tensor, bias: Tensor | None) -> bool:
        """Return whether gradients would reach these weights in their present state."""
        same = self._weight is weight and self._bias is bias
        return same and self._kind == self._describe(weight, bias)

    @staticmethod
    def _describe(weight: Tensor, bias: Tensor | None) -> tuple[Any, ...]:
        return weight.dtype, weight.device, bias is not None and bias.requires_grad


class LSTMCell(nn.Module):
    """nn.LSTMCell with a single matrix product for inputs and state, and a single bias.

    Args:
        inputs: Width of the inputs.
        hidden: H, width of the states.
    """

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
