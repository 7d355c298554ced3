"""Keys of an attention at every step, whose gradient is computed once per backward pass.

Backpropagation through time adds two outer products to the gradient of the keys at every step, and
copies keys and their gradient where rows of a batch end. Here the factors of all outer products are
collected and multiplied at the end, and keys are copied when a quarter of their rows have ended.
Letters in shapes: B rows of the batch, M of them with keys, N live ones of these at a step, L keys,
W width, S uses.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from clipnav.agents.layers.collected_uses import CollectedUses

_LIVE = 0.75  # share of live rows below which the keys of all others are removed


class _Collect(torch.autograd.Function):
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
        self._token: Tensor = _Collect.apply(keys, self._uses)  # type: ignore
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
