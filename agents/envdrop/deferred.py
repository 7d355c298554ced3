"""A linear layer for recurrent use: the gradient of its weights is computed once, not per step.

Backward through time adds a matrix to the gradient of a weight at every step. With few rows in a
batch, making and adding these matrices takes half of the time of a backward pass. Here the inputs
and output gradients of all steps are kept, and multiplied at the end.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class _Uses:
    """Inputs and output gradients of the uses that a backward pass has gone through so far."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []

    def take(self) -> tuple[Tensor, Tensor]:
        """All of them, (R, in) and (R, out), in no particular order; then forget them."""
        inputs, gradients = torch.cat(self.inputs), torch.cat(self.gradients)
        self.__init__()
        return inputs, gradients


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
        rows, kept = gradient.flatten(0, -2), inputs.flatten(0, -2)
        ctx.uses.inputs.append(kept.to(gradient.dtype))
        ctx.uses.gradients.append(rows)
        onward = (gradient @ weight.to(gradient.dtype)).to(inputs.dtype)
        return onward, gradient.new_zeros((), dtype=ctx.token_type), None, None, None


class RecurrentLinear(nn.Linear):
    """nn.Linear that may be used at every step of a sequence at little cost in backward."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias)
        self._uses = _Uses()
        self._token: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Products (..., out) of inputs (..., in) and weights, plus the bias if there is one."""
        if not torch.is_grad_enabled() or not self.weight.requires_grad:
            return functional.linear(inputs, self.weight, self.bias)
        if self._token is None or self._token.device != self.weight.device:
            self._token = _Collect.apply(self.weight, self.bias, self._uses)
        bias = None if self.bias is None else self.bias.detach()
        return _Use.apply(inputs, self._token, self.weight.detach(), bias, self._uses)  # type: ignore

    def __getstate__(self) -> dict[str, Any]:
        # A copy makes a token of its own: this one belongs to these weights' graph.
        return {**self.__dict__, "_token": None, "_uses": _Uses()}


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
