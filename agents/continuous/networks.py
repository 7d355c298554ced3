"""Seq2Seq and CMA, the baselines of VLN-CE.

Krantz et al., "Beyond the Nav-Graph" (ECCV 2020); VLN-CE 729d141
`vlnce_baselines/models/seq2seq_policy.py` and `cma_policy.py`. Both differ from the original in
three points: the colour features are the grid of a CLIP encoder, the depth network is small and is
trained, and word embeddings are trained instead of being GloVe's.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.continuous.image_networks import DEPTH_CELLS, DdppoDepthNetwork
from clipnav.agents.continuous.settings import ContinuousNetworkConfig


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


class DdppoCells(DdppoDepthNetwork):
    """The frozen depth network of VLN-CE, with a result of 4 by 4 cells."""

    def forward(self, depth: Tensor) -> Tensor:
        """Return cells (B, T, 16, 128) of depth pictures (B, T, 256, 256)."""
        return super().forward(depth).unflatten(-1, (-1, DEPTH_CELLS)).transpose(-1, -2)


class ActionHead(nn.Module):
    """Logits of actions and, optionally, the predicted progress."""

    def __init__(self, size: int, actions: int, progress: bool) -> None:
        super().__init__()
        self.actions = nn.Linear(size, actions)
        nn.init.orthogonal_(self.actions.weight, gain=0.01)
        nn.init.zeros_(self.actions.bias)
        self.progress = nn.Linear(size, 1) if progress else None
        if self.progress is not None:
            nn.init.kaiming_normal_(self.progress.weight, nonlinearity="tanh")
            nn.init.zeros_(self.progress.bias)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits (B, T, A) and progress (B, T) of states (B, T, H)."""
        progress = None
        if self.progress is not None:
            progress = torch.tanh(self.progress(states)).squeeze(-1)
        return self.actions(states), progress


def _make_gru(inputs: int, size: int) -> nn.GRU:
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


class ContinuousNetwork(nn.Module):
    """What both networks have: the reader of instructions, the depth network and the actions."""

    recurrent_layers: int

    def __init__(
        self, config: ContinuousNetworkConfig, vocabulary: int, grid: tuple[int, int], actions: int
    ) -> None:
        super().__init__()
        self.config, self.vocabulary, self.grid, self.actions = config, vocabulary, grid, actions
        is_cma = config.kind == "cma"
        self.text = InstructionEncoder(vocabulary, config.word_size, config.text_size, is_cma)
        released = config.depth_network == "ddppo"
        self.depth = DdppoCells() if released else DepthNetwork(config.depth_channels)
        self.head = ActionHead(config.state_size, actions, config.progress_monitor)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options by name."""
        values: dict[str, Any] = vars(self.config) | {
            "vocabulary": self.vocabulary,
            "grid": f"{self.grid[0]}x{self.grid[1]}",
            "actions": self.actions,
        }
        return {name: str(value) for name, value in values.items() if name != "progress_weight"}

    def first_state(self, batch: int) -> Tensor:
        """Return the recurrent state (R, B, H) at the start of walks."""
        weight = self.head.actions.weight
        return weight.new_zeros(self.recurrent_layers, batch, self.config.state_size)


class Seq2Seq(ContinuousNetwork):
    """One GRU over the last state of the instruction, colour and depth; see `ContinuousNetwork`."""

    recurrent_layers = 1

    def __init__(
        self, config: ContinuousNetworkConfig, vocabulary: int, grid: tuple[int, int], actions: int
    ) -> None:
        super().__init__(config, vocabulary, grid, actions)
        _, channels = grid
        self.rgb_linear = nn.Linear(channels, config.rgb_size)
        self.depth_linear = nn.Linear(DEPTH_CELLS * config.depth_channels, config.depth_size)
        inputs = self.text.size + config.rgb_size + config.depth_size
        self.recurrent = _make_gru(inputs, config.state_size)

    def forward(self, words: Words, steps: Steps, state: Tensor) -> Output:
        """Return the actions of T steps from a recurrent state (1, B, H)."""
        rgb = torch.relu(self.rgb_linear(steps.rgb.mean(2)))
        depth = torch.relu(self.depth_linear(self.depth(steps.depth).flatten(2)))
        text = words.last[:, None].expand(-1, rgb.shape[1], -1)
        states, last = self.recurrent(torch.cat([text, depth, rgb], dim=-1), state)
        logits, progress = self.head(states)
        return Output(logits, progress, last)


class CrossModalAttention(ContinuousNetwork):
    """CMA: attention over words, and with them over colour and depth; see `ContinuousNetwork`."""

    recurrent_layers = 2

    def __init__(
        self, config: ContinuousNetworkConfig, vocabulary: int, grid: tuple[int, int], actions: int
    ) -> None:
        super().__init__(config, vocabulary, grid, actions)
        cells, channels = grid
        half, state, text = config.state_size // 2, config.state_size, self.text.size
        self.previous = nn.Embedding(self.actions + 1, config.action_size)
        self.rgb_position = nn.Embedding(cells, config.position_size)
        self.depth_position = nn.Embedding(DEPTH_CELLS, config.position_size)
        rgb, depth = channels + config.position_size, config.depth_channels + config.position_size
        self.rgb_linear = nn.Linear(rgb, config.rgb_size)
        self.depth_linear = nn.Linear(DEPTH_CELLS * depth, config.depth_size)
        first = config.rgb_size + config.depth_size + config.action_size
        self.first_recurrent = _make_gru(first, state)
        self.state_query = nn.Linear(state, half)
        self.text_key = nn.Linear(text, half)
        self.text_query = nn.Linear(text, half)
        self.rgb_key_value = nn.Linear(rgb, half + config.rgb_size)
        self.depth_key_value = nn.Linear(depth, half + config.depth_size)
        self.compress = nn.Linear(state + text + first, state)
        self.second_recurrent = _make_gru(state, state)

    def forward(self, words: Words, steps: Steps, state: Tensor) -> Output:
        """Return the actions of T steps from recurrent states (2, B, H)."""
        rgb = Cells(steps.rgb, self.rgb_position.weight)
        depth = Cells(self.depth(steps.depth), self.depth_position.weight)
        previous = self.previous(steps.previous)
        seen = [
            torch.relu(self.rgb_linear(rgb.mean())),
            torch.relu(self.depth_linear(depth.flat())),
            previous,
        ]
        states, first = self.first_recurrent(torch.cat(seen, dim=-1), state[:1].contiguous())
        queries, keys = self.state_query(states), self.text_key(words.states)
        text = attend(queries, keys, words.states, words.mask)
        query = self.text_query(text)
        attended = [
            rgb.attend(query, self.rgb_key_value),
            depth.attend(query, self.depth_key_value),
        ]
        joined = torch.cat([states, text, *attended, previous], dim=-1)
        states, second = self.second_recurrent(
            torch.relu(self.compress(joined)), state[1:].contiguous()
        )
        logits, progress = self.head(states)
        return Output(logits, progress, torch.cat([first, second]))


def make_network(
    config: ContinuousNetworkConfig, vocabulary: int, grid: tuple[int, int], actions: int
) -> Seq2Seq | CrossModalAttention:
    """Build the network of the settings; arguments as for `ContinuousNetwork`."""
    kind = CrossModalAttention if config.kind == "cma" else Seq2Seq
    return kind(config, vocabulary, grid, actions)
