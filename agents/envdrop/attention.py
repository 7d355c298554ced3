"""What the networks of the family share: attention by dot products, and dropout.

Letters in the shape comments: B episodes, N keys, Q query and W key width.
"""

import torch
from torch import Tensor, nn

from agents.envdrop.deferred import RecurrentLinear


def drop(values: Tensor, rate: float) -> Tensor:
    """Set a share of the numbers to 0 and scale up the rest.

    Sixteen random bits decide about a number, a quarter of the draws of torch's dropout: on a CPU
    three times as fast. The share is exact to 1 / 65,536. One product with 0 or the factor, both
    ways, takes half of the time of filling and scaling.
    """
    limit, count = round(rate * 2**16), values.numel()
    draws = torch.empty(-(-count // 4), dtype=torch.int64, device=values.device)
    bits = draws.random_(-(2**63), None).view(torch.int16)[:count].view(values.shape)
    factors = (bits >= limit - 2**15).to(values.dtype).mul_(2**16 / (2**16 - limit))
    return values * factors


class Dropout(nn.Module):
    """Dropout by few random bits."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Set a share of the numbers to 0 and scale up the rest; only in training mode."""
        if not self.training or not self.rate:
            return values
        return drop(values, self.rate)


class SoftDotAttention(nn.Module):
    """Attention by dot products of keys with a projected query."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query = RecurrentLinear(query_size, key_size, bias=False)

    def scores(self, query: Tensor, keys: Tensor, gate: Tensor | None = None) -> Tensor:
        """Dot products (B, N) of keys (B, N, W), times a gate (B, W), with a query (B, Q)."""
        query = self.query(query)  # (B, W)
        query = query if gate is None else query * gate
        # The query as a row: on a CPU ten times as fast as keys times a column.
        return torch.bmm(query.unsqueeze(1), keys.transpose(1, 2)).squeeze(1)  # (B, N)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        gate: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            query: (B, Q).
            keys: (B, N, W).
            mask: (B, N) true on keys that may be attended; all by default.
            gate: (B, W) multiplier of every key.
            bias: (B, N) what to add to the scores.

        Returns:
            The weighted sum of keys (B, W) and the weights (B, N).
        """
        scores = self.scores(query, keys, gate)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = torch.softmax(scores, 1)  # (B, N)
        total = torch.bmm(weights.unsqueeze(1), keys).squeeze(1)  # (B, W)
        return (total if gate is None else total * gate), weights


class AttentionHistory(nn.Module):
    """Scores of words by where attention lay before: location-aware attention.

    After Chorowski et al. 2015, with dot products in place of a perceptron. By its content alone a
    sentence is hard to tell from the next one that is like it; from the place where reading was,
    it is simply the next one.

    Args:
        query_size: Q.
        filters: Shapes that a query can ask for.
        reach: Words to either side of a word that bear on its score.
    """

    def __init__(self, query_size: int, filters: int = 16, reach: int = 20) -> None:
        super().__init__()
        self.query = RecurrentLinear(query_size, filters)
        self.shapes = nn.Conv1d(2, filters, 2 * reach + 1, padding=reach, bias=False)

    def forward(self, query: Tensor, read: Tensor) -> Tensor:
        """Scores (B, N) for a query (B, Q) after what was read (B, 2, N), see `State.read`."""
        return torch.bmm(self.query(query).unsqueeze(1), self.shapes(read)).squeeze(1)

    @staticmethod
    def read_on(read: Tensor, weights: Tensor) -> Tensor:
        """What was read (B, 2, N) after attention with weights (B, N)."""
        # With gradients through all that was read before, and sums without bound, training
        # explodes on long walks.
        return torch.stack([weights, (read[:, 1] + weights).clamp(max=1)], 1).detach()


class AttendedState(nn.Module):
    """Attention followed by a mixture of what was found with who asked (EnvDrop's "tilde")."""

    def __init__(self, hidden: int, key_size: int) -> None:
        super().__init__()
        self.attention = SoftDotAttention(hidden, key_size)
        self.mix = RecurrentLinear(key_size + hidden, hidden, bias=False)

    def forward(
        self,
        hidden: Tensor,
        keys: Tensor,
        mask: Tensor | None = None,
        gate: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attend with hidden states (B, H) to keys (B, N, W); the rest as in the attention.

        Returns:
            The mixture (B, H) and the weights (B, N).
        """
        found, weights = self.attention(hidden, keys, mask, gate, bias)  # (B, W), (B, N)
        return torch.tanh(self.mix(torch.cat([found, hidden], 1))), weights

    def each(self, hidden: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Mixtures (B, L, H) of hidden states (B, L, H), each with what it found by itself."""
        scores = torch.bmm(self.attention.query(hidden), keys.transpose(1, 2))  # (B, L, N)
        weights = torch.softmax(scores.masked_fill(~mask.unsqueeze(1), -torch.inf), 2)
        return torch.tanh(self.mix(torch.cat([torch.bmm(weights, keys), hidden], 2)))
