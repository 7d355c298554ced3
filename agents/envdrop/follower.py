"""The EnvDrop follower: reads an instruction, looks around, chooses the next viewpoint.

After "Learning to Navigate Unseen Environments" (Tan, Yu, Bansal 2019, section 3.2) as CLIP-ViL
trains it, without that code's projections that no output depends on, and with sentences encoded
independently of their batch. Letters in the shape comments: B episodes, L words, E embedding,
H hidden, K candidates (0 = stop), D visual and A angle width of a view, F = D + A.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.configs import FollowerConfig
from agents.envdrop.visual import View, VisualNoise, VisualScale

PAD = 0
VIEWS = 36


class Context(NamedTuple):
    """Encoded instructions: `words` (B, L, H) and `mask` (B, L), true on real words."""

    words: Tensor
    mask: Tensor

    def rows(self, index: Tensor) -> "Context":
        """The instructions at `index` (N,)."""
        return Context(self.words.index_select(0, index), self.mask.index_select(0, index))


class State(NamedTuple):
    """Decoder state: attended hidden state (B, H) and LSTM cell (B, H)."""

    attended: Tensor
    cell: Tensor

    def rows(self, index: Tensor) -> "State":
        """The states at `index` (N,)."""
        return State(self.attended.index_select(0, index), self.cell.index_select(0, index))


class Dropout(nn.Module):
    """Dropout by comparing uniform numbers: on a CPU three times as fast as nn.Dropout."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Set a share of the numbers to 0 and scale up the rest; only in training mode."""
        if not self.training or not self.rate:
            return values
        return values * torch.rand_like(values).ge_(self.rate).mul_(1 / (1 - self.rate))


class InstructionEncoder(nn.Module):
    """Bidirectional LSTM over words, and the decoder's first state."""

    def __init__(self, vocabulary: int, config: FollowerConfig) -> None:
        super().__init__()
        half = config.hidden_size // 2
        self.embedding = nn.Embedding(vocabulary, config.embedding_size, padding_idx=PAD)
        self.dropout = Dropout(config.dropout)
        # The extra input is 1 on words and 0 on padding and carries the bias: an LSTM without
        # bias leaves its zero state untouched while it reads zeros. Sentences padded at the front
        # need no packing then, which is two to three times faster on a CPU.
        self.forwards = nn.LSTM(config.embedding_size + 1, half, bias=False, batch_first=True)
        self.backwards = nn.LSTM(config.embedding_size + 1, half, bias=False, batch_first=True)
        self.initial = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            tokens: (B, L) integers, padded with 0 at the end; trimmed to the longest here.

        Returns:
            The encoded words and the decoder's first state.
        """
        lengths = (tokens != PAD).sum(1)  # (B,)
        longest = int(lengths.max())
        tokens = tokens[:, :longest].long()
        mask = tokens != PAD  # (B, L)
        words = self.dropout(self.embedding(tokens))  # (B, L, E)
        words = torch.cat([words, mask.unsqueeze(2).to(words.dtype)], 2)  # (B, L, E+1)

        shift = longest - lengths  # (B,) words move this far back, so that padding comes first
        steps = torch.arange(longest, device=tokens.device)
        ahead, (_, ahead_cell) = self.forwards(_take(words, (steps - shift[:, None]) % longest))
        ahead = _take(ahead, (steps + shift[:, None]) % longest)  # (B, L, H/2), words first again
        back, (_, back_cell) = self.backwards(words.flip(1))
        encoded = torch.cat([ahead, back.flip(1)], 2)  # (B, L, H)

        # Maximum over real words only: over padding too, as in the reference, a sentence's code
        # would depend on its neighbours in the batch.
        peak = encoded.masked_fill(~mask.unsqueeze(2), -torch.inf).amax(1)  # (B, H)
        first = State(
            torch.tanh(self.initial(peak)),  # (B, H)
            torch.cat([back_cell[0], ahead_cell[0]], 1),  # (B, H)
        )
        return Context(self.dropout(encoded), mask), first


def _take(sequence: Tensor, index: Tensor) -> Tensor:
    """Reorder (B, L, W) along L by `index` (B, L)."""
    return sequence.gather(1, index.unsqueeze(2).expand(-1, -1, sequence.shape[2]))


class SoftDotAttention(nn.Module):
    """Attention by dot products of keys with a projected query."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, key_size, bias=False)

    def scores(self, query: Tensor, keys: Tensor, gate: Tensor | None = None) -> Tensor:
        """Dot products (B, N) of keys (B, N, W), times a gate (B, W), with a query (B, Q)."""
        query = self.query(query)  # (B, W)
        query = query if gate is None else query * gate
        return torch.bmm(keys, query.unsqueeze(2)).squeeze(2)  # (B, N)

    def forward(
        self, query: Tensor, keys: Tensor, mask: Tensor | None = None, gate: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            query: (B, Q).
            keys: (B, N, W).
            mask: (B, N) true on keys that may be attended; all by default.
            gate: (B, W) multiplier of every key.

        Returns:
            The weighted sum of keys (B, W) and the weights (B, N).
        """
        scores = self.scores(query, keys, gate)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = torch.softmax(scores, 1)  # (B, N)
        total = torch.bmm(weights.unsqueeze(1), keys).squeeze(1)  # (B, W)
        return (total if gate is None else total * gate), weights


class Decision(NamedTuple):
    """What one step of the decoder gives.

    Attributes:
        scores: (B, K) logits of the candidates, minus infinity where impossible.
        state: the next state.
        word_weights: (B, L) attention over the instruction.
        view_weights: (B, 36) attention over the panorama.
    """

    scores: Tensor
    state: State
    word_weights: Tensor
    view_weights: Tensor


class Decoder(nn.Module):
    """One step of the follower: views and words in, scores of the candidates out."""

    def __init__(self, visual: int, angle: int, config: FollowerConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, visual + angle
        self.action = nn.Linear(angle, config.action_size)
        self.views = SoftDotAttention(hidden, width)
        self.cell = nn.LSTMCell(config.action_size + width, hidden)
        self.words = SoftDotAttention(hidden, hidden)
        self.attended = nn.Linear(2 * hidden, hidden, bias=False)
        self.candidates = SoftDotAttention(hidden, width)
        self.dropout = Dropout(config.dropout)

    def forward(
        self, view: View, context: Context, state: State, noise: VisualNoise | None = None
    ) -> Decision:
        """Look, read, and score the candidates; `noise` drops visual features."""
        panorama, candidates = view.panorama, view.candidates  # (B, 36, F), (B, K, F)
        view_gate = candidate_gate = None
        if noise is not None:
            panorama, candidates = noise.drop(panorama), noise.drop(candidates)
            view_gate, candidate_gate = noise.gate(panorama), noise.gate(candidates)  # (B, F)

        action = self.dropout(torch.tanh(self.action(view.angle)))  # (B, action)
        query = self.dropout(state.attended)  # (B, H)
        seen, view_weights = self.views(query, panorama, gate=view_gate)  # (B, F), (B, 36)
        inputs = torch.cat([action, seen], 1)  # (B, action + F)
        hidden, cell = self.cell(inputs, (state.attended, state.cell))  # (B, H) each

        hidden = self.dropout(hidden)
        read, word_weights = self.words(hidden, context.words, context.mask)  # (B, H), (B, L)
        attended = torch.tanh(self.attended(torch.cat([read, hidden], 1)))  # (B, H)

        query = self.dropout(attended)
        scores = self.candidates.scores(query, candidates, candidate_gate)  # (B, K)
        scores = scores.masked_fill(~view.mask, -torch.inf)
        return Decision(scores, State(attended, cell), word_weights, view_weights)


class Follower(nn.Module):
    """Encoder and decoder together."""

    def __init__(self, vocabulary: int, visual: int, angle: int, config: FollowerConfig) -> None:
        super().__init__()
        self.config = config
        self.visual, self.angle = visual, angle
        self.encoder = InstructionEncoder(vocabulary, config)
        self.decoder = Decoder(visual, angle, config)
        scaled = config.standardise and visual > 0
        self.scale = VisualScale(visual, angle) if scaled else None

    def decide(
        self, view: View, context: Context, state: State, noise: VisualNoise | None = None
    ) -> Decision:
        """Score the candidates of a view as it comes from an environment."""
        if self.scale is not None:
            view = self.scale(view)
        return self.decoder(view, context, state, noise)

    def noise(self, batch: int) -> VisualNoise | None:
        """Feature dropout for a batch of episodes; none in evaluation mode."""
        if not self.training:
            return None
        ones = self.decoder.action.weight.new_ones(batch, self.visual + self.angle)
        return VisualNoise(self.config, self.visual, ones)
