"""Instruction encoders: tokens in, encoded words and the decoder's first state out.

Letters in the shape comments: B sentences, L words, E embedding, H hidden.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.configs import FollowerConfig
from agents.envdrop.attention import Dropout
from agents.envdrop.recurrent import BidirectionalLSTM

PAD = 0


class Context(NamedTuple):
    """Encoded instructions: `words` (B, L, H) and `mask` (B, L), true on real words."""

    words: Tensor
    mask: Tensor

    def rows(self, index: Tensor) -> "Context":
        """The instructions at `index` (N,)."""
        return Context(*(part.index_select(0, index) for part in self))


class State(NamedTuple):
    """Decoder state.

    Attributes:
        attended: (B, H) attended hidden state.
        cell: (B, H) LSTM cell.
        read: (B, 2, L) attention over the words at the step before, and how much of each word has
            been read, at most 1; kept by followers that keep their place in the text.
    """

    attended: Tensor
    cell: Tensor
    read: Tensor

    def rows(self, index: Tensor) -> "State":
        """The states at `index` (N,)."""
        return State(*(part.index_select(0, index) for part in self))

    def split(self) -> list["State"]:
        """The state of each row, as a batch of one."""
        return [State(*parts) for parts in zip(*(part.split(1) for part in self), strict=True)]

    @classmethod
    def joined(cls, states: Sequence["State"]) -> "State":
        """States one below the other."""
        return cls(*(torch.cat(parts) for parts in zip(*states, strict=True)))


def unread(mask: Tensor) -> Tensor:
    """(B, 2, L) `State.read` before the first step: on the first word of those in `mask` (B, L)."""
    read = torch.zeros(len(mask), 2, mask.shape[1], device=mask.device)
    read[:, :, 0] = 1.0
    return read


class InstructionEncoder(nn.Module):
    """Bidirectional LSTM over words, and the decoder's first state."""

    def __init__(self, vocabulary: int, config: FollowerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding_size, padding_idx=PAD)
        self.dropout = Dropout(config.dropout)
        self.read = BidirectionalLSTM(config.embedding_size, config.hidden_size)
        self.initial = nn.Linear(config.hidden_size, config.hidden_size)

    @property
    def architecture(self) -> dict[str, str]:
        """What must be alike for weights to fit."""
        return {
            "vocabulary size": str(self.embedding.num_embeddings),
            "embedding size": str(self.embedding.embedding_dim),
        }

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            tokens: (B, L) integers, padded with 0 at the end; trimmed to the longest here.

        Returns:
            The encoded words and the decoder's first state.
        """
        longest = int((tokens != PAD).sum(1).max())
        tokens = tokens[:, :longest].long()
        mask = tokens != PAD  # (B, L)
        # The embedding of padding is zero, and dropout leaves it so.
        encoded, cell = self.read(self.dropout(self.embedding(tokens)), mask)  # (B, L, H), (B, H)
        # Maximum over real words only: over padding too, as in the reference, a sentence's code
        # would depend on its neighbours in the batch.
        peak = encoded.masked_fill(~mask.unsqueeze(2), -torch.inf).amax(1)  # (B, H)
        first = State(torch.tanh(self.initial(peak)), cell, unread(mask))
        return Context(self.dropout(encoded), mask), first
