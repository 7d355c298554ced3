"""Linear layers and attention for recurrent use, whose gradients are computed once per pass.

Backpropagation through time adds a matrix to the gradient of a weight, or of the attended words, at
every step. With few rows in a batch, computing and adding these matrices takes half of the time of
a backward pass. These classes collect the tensors of all steps and multiply them at the end.
"""

from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

Use = tuple[Tensor, ...]
_LIVE = 0.75  # share of live rows below which the keys of all others are removed


class _Pass:
    """Uses that one backward pass has collected so far."""

    def __init__(self) -> None:
        self.uses: list[Use] = []


class CollectedUses:
    """Tensors of each use, separately for every backward pass in progress.

    A pass may end before it reaches the weights: `torch.autograd.grad` with respect to inputs does
    so, and so does a pass that raises an exception. Its collection is then discarded and never
    added to that of a later pass. The two private functions of torch are those that its own
    checkpointing and FSDP use to identify passes and their ends.
    """

    def __init__(self) -> None:
        self._passes: WeakValueDictionary[int, _Pass] = WeakValueDictionary()

    def add(self, use: Use) -> None:
        """Add the tensors of a use to those of the current pass."""
        task = torch._C._current_graph_task_id()
        collected = self._passes.get(task)
        if collected is None:
            collected = self._passes[task] = _Pass()
            # The engine holds the callback, and with it the collection, until the pass ends in
            # any way; the dictionary has weak references only.
            torch.autograd.Variable._execution_engine.queue_callback(partial(_end, collected))
        collected.uses.append(use)

    def take(self) -> list[Use]:
        """Remove and return all uses of the current pass."""
        collected = self._passes.pop(torch._C._current_graph_task_id())
        uses, collected.uses = collected.uses, []
        return uses


def _end(_: _Pass) -> None:
    """Callback of the engine at the end of a pass, which releases the collection."""


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


class _CollectKeys(torch.autograd.Function):
    """Node between the keys and all uses; its backward runs after those of the uses."""

    @staticmethod
    def forward(ctx: Any, keys: Tensor, uses: CollectedUses) -> Tensor:
        ctx.uses, ctx.rows, ctx.dtype = uses, len(keys), keys.dtype
        return keys.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:  # type: ignore
        uses = ctx.uses.take()
        _, left, right = uses[0]
        lefts = left.new_zeros(len(uses), ctx.rows, left.shape[1])  # (S, B, L)
        rights = right.new_zeros(len(uses), ctx.rows, right.shape[1])  # (S, B, W)
        for number, (rows, left, right) in enumerate(uses):
            lefts[number, rows], rights[number, rows] = left, right
        return torch.bmm(lefts.permute(1, 2, 0), rights.transpose(0, 1)).to(ctx.dtype), None


class _Product(torch.autograd.Function):
    """`dot` or `weighted_sum` of values (N, X) and the live rows of keys (M, L, W).

    The gradient of either with respect to the values is the other product of its own gradient.
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        token: Tensor,
        keys: Tensor,
        rows: Tensor,
        live: Tensor | None,
        uses: CollectedUses,
        is_dot: bool,
    ) -> Tensor:
        ctx.save_for_backward(values, keys, rows, live)
        ctx.uses, ctx.token_type, ctx.is_dot = uses, token.dtype, is_dot
        return _product(values, keys, live, is_dot)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore
        values, keys, rows, live = ctx.saved_tensors
        gradient, factor = gradient.to(keys.dtype), values.to(keys.dtype)
        # Factors of the outer products (N, L) x (N, W).
        ctx.uses.add((rows, gradient, factor) if ctx.is_dot else (rows, factor, gradient))
        done = gradient.new_zeros((), dtype=ctx.token_type)
        mine = _product(gradient, keys, live, not ctx.is_dot).to(values.dtype)
        return mine, done, None, None, None, None, None


def _product(values: Tensor, keys: Tensor, live: Tensor | None, is_dot: bool) -> Tensor:
    """Multiply values (N, X) with the live rows of keys (M, L, W)."""
    operation = dot if is_dot else weighted_sum
    if live is None:
        return operation(values, keys)
    # Products of rows that have ended cost less than copies of the keys of all others.
    spread = values.new_zeros(len(keys), values.shape[1]).index_copy_(0, live, values)
    return operation(spread, keys).index_select(0, live)


def dot(query: Tensor, keys: Tensor) -> Tensor:
    """Return the dot products (N, L) of queries (N, W) and keys (N, L, W)."""
    # With the query as a row this is ten times as fast on a CPU as keys times a column.
    return torch.bmm(query.unsqueeze(1), keys.transpose(1, 2)).squeeze(1)


def weighted_sum(weights: Tensor, keys: Tensor) -> Tensor:
    """Return the sums (N, W) of keys (N, L, W) with weights (N, L)."""
    return torch.bmm(weights.unsqueeze(1), keys).squeeze(1)


class KeyGradient:
    """Products of queries and weights with detached keys, which collect the gradient of the keys.

    Args:
        keys: (B, L, W) keys that require a gradient.
    """

    def __init__(self, keys: Tensor) -> None:
        self._uses = CollectedUses()
        self._token: Tensor = _CollectKeys.apply(keys, self._uses)  # type: ignore
        self._rows = torch.arange(len(keys), device=keys.device)  # (N,) live rows of the batch
        self._live: Tensor | None = None  # (N,) their rows in the keys (M, L, W); None for all
        self._held = len(keys)  # M

    def rows(self, index: Tensor) -> tuple["KeyGradient", Tensor | None]:
        """Choose the live rows at `index` (N,), which must be distinct."""
        if len(index.unique()) < len(index):
            raise ValueError("the rows of collected keys must be distinct")
        live = index if self._live is None else self._live.index_select(0, index)
        is_sparse = len(live) < _LIVE * self._held
        chosen = object.__new__(KeyGradient)
        chosen._uses, chosen._token = self._uses, self._token
        chosen._rows = self._rows.index_select(0, index)
        chosen._live = None if is_sparse else live
        chosen._held = len(live) if is_sparse else self._held
        return chosen, live if is_sparse else None

    def dot(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the dot products (N, L) of queries (N, W) and detached keys (M, L, W)."""
        return self._product(query, keys, True)

    def weighted_sum(self, weights: Tensor, keys: Tensor) -> Tensor:
        """Return the sums (N, W) of detached keys (M, L, W) with weights (N, L)."""
        return self._product(weights, keys, False)

    def _product(self, values: Tensor, keys: Tensor, is_dot: bool) -> Tensor:
        return _Product.apply(  # type: ignore
            values, self._token, keys, self._rows, self._live, self._uses, is_dot
        )
