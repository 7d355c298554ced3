"""Parts that the networks of continuous agents share."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

DEPTH_CELLS = 16  # cells of the depth network's result, in 4 rows


class Steps(NamedTuple):
    """What agents perceive in T steps of B walks.

    Attributes:
        rgb: (B, T, N, C) grid features of the colour pictures.
        depth: (B, T, P, P) depth pictures in 0..1.
        previous: (B, T) int64, one more than the previous action, 0 at the start of a walk.
    """

    rgb: Tensor
    depth: Tensor
    previous: Tensor


class Words(NamedTuple):
    """Instructions of B walks that have been read.

    Attributes:
        states: (B, L, D) states of the words, 0 for padding.
        mask: (B, L) bool, True for words, at least one of them.
        last: (B, H) final state of the LSTM.
    """

    states: Tensor
    mask: Tensor
    last: Tensor


class Output(NamedTuple):
    """Result of a network.

    Attributes:
        logits: (B, T, A) of the actions.
        progress: (B, T) predicted progress in -1..1, or None without a progress monitor.
        state: Recurrent state (R, B, H) after the last step.
    """

    logits: Tensor
    progress: Tensor | None
    state: Tensor


class InstructionEncoder(nn.Module):
    """LSTM over the words of instructions."""

    def __init__(self, vocabulary: int, word_size: int, size: int, bidirectional: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, word_size, padding_idx=0)
        self.lstm = nn.LSTM(word_size, size, batch_first=True, bidirectional=bidirectional)
        self.size = size * (2 if bidirectional else 1)

    def forward(self, ids: Tensor) -> Words:
        """Read instructions (B, L) int64; an empty one counts as one word of padding."""
        lengths = (ids != 0).sum(1).clamp(min=1)
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(ids), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, (last, _) = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(
            states, batch_first=True, total_length=ids.shape[1]
        )
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None].to(ids.device)
        return Words(padded, mask, last.transpose(0, 1).flatten(1))


class DepthNetwork(nn.Module):
    """Small convolutional network over depth pictures, with a result of 4 by 4 cells.

    VLN-CE has a frozen ResNet-50 of DD-PPO here; this network is trained together with the agent.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (1, *(max(1, channels // part) for part in (8, 4, 2)))
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            norm = nn.GroupNorm(math.gcd(8, after), after)
            layers += [nn.Conv2d(before, after, 3, 2, 1), norm, nn.ReLU()]
        layers += [nn.Conv2d(widths[-1], channels, 3, 2, 1), nn.ReLU()]
        layers.append(nn.AdaptiveAvgPool2d(4))
        self.layers = nn.Sequential(*layers)

    def forward(self, depth: Tensor) -> Tensor:
        """Return cells (B, T, 16, C) of depth pictures (B, T, P, P)."""
        batch, steps = depth.shape[:2]
        cells = self.layers(depth.flatten(0, 1)[:, None])
        return cells.flatten(2).transpose(1, 2).unflatten(0, (batch, steps))


class ActionHead(nn.Module):
    """Logits of actions and, optionally, the predicted progress."""

    def __init__(self, size: int, actions: int, progress: bool) -> None:
        super().__init__()
        self.actions = nn.Linear(size, actions)
        nn.init.orthogonal_(self.actions.weight, gain=0.01)
        nn.init.zeros_(self.actions.bias)
        self.progress = nn.Linear(size, 1) if progress else None

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, T, A) and progress (B, T) of states (B, T, H)."""
        progress = None
        if self.progress is not None:
            progress = torch.tanh(self.progress(states)).squeeze(-1)
        return self.actions(states), progress


def make_gru(inputs: int, size: int) -> nn.GRU:
    """Build a GRU with orthogonal weights and biases of 0."""
    gru = nn.GRU(inputs, size, batch_first=True)
    for name, weight in gru.named_parameters():
        if "weight" in name:
            nn.init.orthogonal_(weight)
        else:
            nn.init.zeros_(weight)
    return gru


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Return the scaled dot-product attention (B, T, V) of one query per step.

    Args:
        queries: (B, T, K).
        keys: (B, N, K), shared by all steps.
        values: (B, N, V).
        mask: (B, N) bool, True where a key counts.
    """
    scores = queries @ keys.transpose(1, 2) / math.sqrt(queries.shape[-1])
    weights = functional.softmax(scores.masked_fill(~mask[:, None], -math.inf), dim=-1)
    return weights @ values


class Cells(NamedTuple):
    """Cells of pictures, each followed by the embedding of its position.

    Attributes:
        features: (B, T, N, C).
        positions: (N, P) embeddings of the positions.
    """

    features: Tensor
    positions: Tensor

    def mean(self) -> Tensor:
        """Return the mean (B, T, C + P) over cells."""
        mean = self.features.mean(2)
        return torch.cat([mean, self.positions.mean(0).expand(*mean.shape[:2], -1)], dim=-1)

    def flat(self) -> Tensor:
        """Return all cells in a row (B, T, N * (C + P))."""
        positions = self.positions.expand(*self.features.shape[:2], -1, -1)
        return torch.cat([self.features, positions], dim=-1).flatten(2)

    def attend(self, queries: Tensor, key_value: nn.Linear) -> Tensor:
        """Return the scaled dot-product attention (B, T, V) of one query per step over its cells.

        The keys and values are those of `key_value`, but the layer is applied to the query and to
        the mean of the cells instead of to each cell, which is N times less work: q (K c) =
        (q K) c, the bias of the keys adds the same to all cells, and weights sum to 1.

        Args:
            queries: (B, T, K).
        """
        size, channels = queries.shape[-1], self.features.shape[-1]
        keys, values = key_value.weight[:size], key_value.weight[size:]
        queries = queries @ keys / math.sqrt(size)
        scores = (self.features @ queries[..., :channels, None]).squeeze(-1)
        scores = scores + queries[..., channels:] @ self.positions.T
        weights = functional.softmax(scores, dim=-1)
        mean = (weights[..., None, :] @ self.features).squeeze(-2)
        mean = torch.cat([mean, weights @ self.positions], dim=-1)
        return functional.linear(mean, values, key_value.bias[size:])
