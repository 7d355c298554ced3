"""Seq2Seq and CMA, the baselines of VLN-CE.

Krantz et al., "Beyond the Nav-Graph" (ECCV 2020); VLN-CE 729d141
`vlnce_baselines/models/seq2seq_policy.py` and `cma_policy.py`. Both differ from the original in
three points: the colour features are the grid of a CLIP encoder, the depth network is small and is
trained, and word embeddings are trained instead of being GloVe's.
"""

from typing import Any

import torch
from torch import Tensor, nn

from clipnav.agents.continuous.layers import (
    DEPTH_CELLS,
    ActionHead,
    Cells,
    DepthNetwork,
    InstructionEncoder,
    Output,
    Steps,
    Words,
    attend,
    make_gru,
)
from clipnav.agents.continuous.settings import ContinuousNetworkConfig


class ContinuousNetwork(nn.Module):
    """What both networks have: the reader of instructions, the depth network and the actions."""

    recurrent_layers: int

    def __init__(
        self,
        config: ContinuousNetworkConfig,
        vocabulary: int,
        grid: tuple[int, int],
        actions: int,
    ) -> None:
        super().__init__()
        self.config, self.vocabulary, self.grid, self.actions = config, vocabulary, grid, actions
        is_cma = config.kind == "cma"
        self.text = InstructionEncoder(vocabulary, config.word_size, config.text_size, is_cma)
        self.depth = DepthNetwork(config.depth_channels)
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
        self,
        config: ContinuousNetworkConfig,
        vocabulary: int,
        grid: tuple[int, int],
        actions: int,
    ) -> None:
        super().__init__(config, vocabulary, grid, actions)
        _, channels = grid
        self.rgb_linear = nn.Linear(channels, config.rgb_size)
        self.depth_linear = nn.Linear(DEPTH_CELLS * config.depth_channels, config.depth_size)
        inputs = self.text.size + config.rgb_size + config.depth_size
        self.recurrent = make_gru(inputs, config.state_size)

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
        self,
        config: ContinuousNetworkConfig,
        vocabulary: int,
        grid: tuple[int, int],
        actions: int,
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
        self.first_recurrent = make_gru(first, state)
        self.state_query = nn.Linear(state, half)
        self.text_key = nn.Linear(text, half)
        self.text_query = nn.Linear(text, half)
        self.rgb_key_value = nn.Linear(rgb, half + config.rgb_size)
        self.depth_key_value = nn.Linear(depth, half + config.depth_size)
        self.compress = nn.Linear(state + text + first, state)
        self.second_recurrent = make_gru(state, state)

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
