"""Keys of an attention at every step, whose gradient is computed once per backward pass.

Backpropagation through time adds two outer products to the gradient of the keys at every step, and
copies that gradient where rows of a batch end. Here the factors of all outer products are collected
and multiplied at the end. Letters in shapes: B rows, N of them at a step, L keys, W width, S uses.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from agents.envdrop.collected_uses import CollectedUses
from storage.errors import UserError


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


class _Dot(torch.autograd.Function):
    """Dot products (N, L) of queries (N, W) and keys (N, L, W)."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, token: Tensor, keys: Tensor, rows: Tensor, uses: CollectedUses
    ) -> Tensor:
        ctx.save_for_backward(query, keys, rows)
        ctx.uses, ctx.token_type = uses, token.dtype
        return dot(query, keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore
        query, keys, rows = ctx.saved_tensors
        gradient = gradient.to(keys.dtype)
        ctx.uses.add((rows, gradient, query.to(keys.dtype)))
        done = gradient.new_zeros((), dtype=ctx.token_type)
        return weighted_sum(gradient, keys).to(query.dtype), done, None, None, None


class _WeightedSum(torch.autograd.Function):
    """Sums (N, W) of keys (N, L, W) with weights (N, L)."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, token: Tensor, keys: Tensor, rows: Tensor, uses: CollectedUses
    ) -> Tensor:
        ctx.save_for_backward(weights, keys, rows)
        ctx.uses, ctx.token_type = uses, token.dtype
        return weighted_sum(weights, keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # type: ignore
        weights, keys, rows = ctx.saved_tensors
        gradient = gradient.to(keys.dtype)
        ctx.uses.add((rows, weights.to(keys.dtype), gradient))
        done = gradient.new_zeros((), dtype=ctx.token_type)
        return dot(gradient, keys).to(weights.dtype), done, None, None, None


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
        self._rows = torch.arange(len(keys), device=keys.device)

    def rows(self, index: Tensor) -> "KeyGradient":
        """Return the same for the keys of the rows at `index` (N,), which must be distinct."""
        if len(index.unique()) < len(index):
            raise UserError("the rows of collected keys must be distinct")
        chosen = object.__new__(KeyGradient)
        chosen._uses, chosen._token = self._uses, self._token
        chosen._rows = self._rows.index_select(0, index)
        return chosen

    def dot(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the dot products (N, L) of queries (N, W) and detached keys (N, L, W)."""
        return _Dot.apply(query, self._token, keys, self._rows, self._uses)  # type: ignore

    def weighted_sum(self, weights: Tensor, keys: Tensor) -> Tensor:
        """Return the sums (N, W) of detached keys (N, L, W) with weights (N, L)."""
        return _WeightedSum.apply(weights, self._token, keys, self._rows, self._uses)  # type: ignore
