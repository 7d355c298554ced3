"""A linear layer for recurrent use: the gradient of its weights is computed once, not per step.

Backward through time adds a matrix to the gradient of a weight at every step. With few rows in a
batch, making and adding these matrices takes half of the time of a backward pass. Here the inputs
and output gradients of all steps are kept, and multiplied at the end.
"""

from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class _Pass:
    """Inputs and output gradients of the uses that one backward pass has gone through so far."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []


class _Uses:
    """What the backward passes that are under way have gathered, each for itself.

    A pass need not come to the weights: `torch.autograd.grad` of inputs alone does not, nor does
    one that ends with an exception. What it gathered is then lost with it, and no later pass may
    add it to its own. The two underscored functions of torch are those by which its own
    checkpointing and FSDP tell passes apart and learn of their end.
    """

    def __init__(self) -> None:
        self._passes: WeakValueDictionary[int, _Pass] = WeakValueDictionary()

    def add(self, inputs: Tensor, gradients: Tensor) -> None:
        """Note a use, (R, in) and (R, out), in the backward pass that is under way."""
        number = torch._C._current_graph_task_id()
        gathered = self._passes.get(number)
        if gathered is None:
            gathered = self._passes[number] = _Pass()
            # The engine drops what it is to call at the end with the pass itself, however that
            # ends; until then it keeps what is gathered alive.
            torch.autograd.Variable._execution_engine.queue_callback(partial(_end, gathered))
        gathered.inputs.append(inputs)
        gathered.gradients.append(gradients)

    def take(self) -> tuple[Tensor, Tensor]:
        """All uses of the pass that is under way, (R, in) and (R, out), in no particular order."""
        gathered = self._passes.pop(torch._C._current_graph_task_id())
        inputs, gradients = torch.cat(gathered.inputs), torch.cat(gathered.gradients)
        gathered.inputs.clear()
        gathered.gradients.clear()
        return inputs, gradients


def _end(_: _Pass) -> None:
    """Called by the engine at the end of a pass, whose gathered uses may go now."""


class _Collect(torch.autograd.Function):
    """Stands between the weights and their uses; autograd comes here after all of these."""

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
    """One use of the weights."""

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
        onward = (gradient @ weight.to(gradient.dtype)).to(inputs.dtype)
        return onward, gradient.new_zeros((), dtype=ctx.token_type), None, None, None


class RecurrentLinear(nn.Linear):
    """nn.Linear that may be used at every step of a sequence at little cost in backward."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self._collector: _Collector | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Products (..., out) of inputs (..., in) and weights, plus the bias if there is one."""
        weight, bias = self.weight, self.bias
        if not torch.is_grad_enabled() or not weight.requires_grad:
            return functional.linear(inputs, weight, bias)
        collector = self._collector
        if collector is None or not collector.is_of(weight, bias):
            collector = self._collector = _Collector(weight, bias)
        bias = None if bias is None else bias.detach()
        return _Use.apply(inputs, collector.token, weight.detach(), bias, collector.uses)  # type: ignore

    def __getstate__(self) -> dict[str, Any]:
        # A copy makes a collector of its own: this one belongs to these weights' graph.
        return {**self.__dict__, "_collector": None}


class _Collector:
    """The token that leads from uses to weights, and the uses that backward passes gather.

    Args:
        weight: (out, in).
        bias: (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias
        self._kind = self._describe(weight, bias)
        self.uses = _Uses()
        self.token: Tensor = _Collect.apply(weight, bias, self.uses)  # type: ignore

    def is_of(self, weight: Tensor, bias: Tensor | None) -> bool:
        """Whether gradients would reach these weights as they are now."""
        same = self._weight is weight and self._bias is bias
        return same and self._kind == self._describe(weight, bias)

    @staticmethod
    def _describe(weight: Tensor, bias: Tensor | None) -> tuple[Any, ...]:
        return weight.dtype, weight.device, bias is not None and bias.requires_grad


class LSTMCell(nn.Module):
    """nn.LSTMCell with one product for inputs and state, and one bias.

    Args:
        inputs: Width of an input.
        hidden: H, width of the states.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = RecurrentLinear(inputs + hidden, 4 * hidden)
        for weights in self.gates.parameters():
            nn.init.uniform_(weights, -(hidden**-0.5), hidden**-0.5)

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Next hidden state and cell (B, H) from inputs (B, in) and the state before."""
        hidden, cell = state
        gates = self.gates(torch.cat([inputs, hidden], 1))  # (B, 4 H)
        enter, keep, new, show = gates.chunk(4, 1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * torch.tanh(new)
        return torch.sigmoid(show) * torch.tanh(cell), cell
