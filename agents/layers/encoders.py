"""Instruction encoder: from tokens to encoded words and the initial decoder state.

Letters in shapes: B instructions, L words, E embedding width, H hidden width.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.layers.accumulated import KeyGradient
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.recurrent import BidirectionalLSTM
from clipnav.agents.settings import FollowerConfig

PAD = 0
Tokens = TypeVar("Tokens", np.ndarray, Tensor)


def without_padding(tokens: Tokens) -> Tokens:
    """Return token ids (B, L), padded at the end, without the columns of padding only."""
    return tokens[:, : int((tokens != PAD).sum(1).max())]


class Context(NamedTuple):
    """Encoded instructions.

    Attributes:
        words: (B, L, H) encoded words; with a collector also those of other rows, see `rows`.
        mask: (B, L) bool, false on padding.
        collector: Collector of the gradient of detached words, see `collected`; usually None.
    """

    words: Tensor
    mask: Tensor
    collector: KeyGradient | None = None

    def rows(self, index: Tensor) -> "Context":
        """Return the instructions at `index` (N,).

        A collector copies the words only if few of them remain, because each copy is kept for the
        backward pass.
        """
        mask = self.mask.index_select(0, index)
        if self.collector is None:
            return Context(self.words.index_select(0, index), mask)
        collector, kept = self.collector.rows(index)
        words = self.words if kept is None else self.words.index_select(0, kept)
        return Context(words, mask, collector)

    def collected(self) -> "Context":
        """Return the same instructions for attention at many steps, with a cheap backward pass."""
        if not (torch.is_grad_enabled() and self.words.requires_grad):
            return self
        return Context(self.words.detach(), self.mask, KeyGradient(self.words))


class State(NamedTuple):
    """Decoder state.

    Attributes:
        attended: (B, H) attended hidden state.
        cell: (B, H) LSTM cell.
        history: (B, 2, L) attention weights over the words at the previous step, and their sum over
            all steps, limited to 1; updated with location-aware attention only.
    """

    attended: Tensor
    cell: Tensor
    history: Tensor

    def rows(self, index: Tensor) -> "State":
        """Return the states at `index` (N,)."""
        return State(*(part.index_select(0, index) for part in self))

    def split(self) -> list["State"]:
        """Return the state of each row as a batch of one."""
        return [State(*parts) for parts in zip(*(part.split(1) for part in self), strict=True)]

    @classmethod
    def joined(cls, states: Sequence["State"]) -> "State":
        """Concatenate states into one batch."""
        return cls(*(torch.cat(parts) for parts in zip(*states, strict=True)))


def initial_history(mask: Tensor) -> Tensor:
    """Return `State.history` (B, 2, L) before the first step: all attention on the first word.

    Args:
        mask: (B, L) bool, false on padding.
    """
    history = torch.zeros(len(mask), 2, mask.shape[1], device=mask.device)
    history[:, :, 0] = 1.0
    return history


class WordReader(nn.Module):
    """Bidirectional LSTM over vectors of words, with the initial decoder state.

    Subclasses build the parts and supply the vectors.

    Attributes:
        dropout: Dropout of the vectors and of the encoded words.
        initial: Layer from the encoded words to the initial decoder state.
    """

    dropout: Dropout
    read: BidirectionalLSTM
    initial: nn.Linear

    def encode(self, words: Tensor, mask: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            words: (B, L, W) vectors, zero on padding.
            mask: (B, L) bool, false on padding.
        """
        encoded, cell = self.read(self.dropout(words), mask)  # (B, L, H), (B, H)
        # The maximum excludes padding. EnvDrop includes it, so that the encoding of an instruction
        # depends on the other instructions of the batch.
        places = encoded.detach().masked_fill(~mask.unsqueeze(2), -torch.inf).max(1, True).indices
        peak = encoded.gather(1, places).squeeze(1)  # (B, H)
        first = State(torch.tanh(self.initial(peak)), cell, initial_history(mask))
        return Context(self.dropout(encoded), mask), first


class InstructionEncoder(WordReader):
    """Word embeddings and the LSTM over them."""

    def __init__(self, vocabulary: int, config: FollowerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding_size, padding_idx=PAD)
        self.dropout = Dropout(config.dropout)
        self.read = BidirectionalLSTM(config.embedding_size, config.hidden_size)
        self.initial = nn.Linear(config.hidden_size, config.hidden_size)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes that must match for weights to be loaded."""
        return {
            "vocabulary size": str(self.embedding.num_embeddings),
            "embedding size": str(self.embedding.embedding_dim),
        }

    def forward(self, tokens: Tensor) -> tuple[Context, State]:
        """Encode instructions.

        Args:
            tokens: (B, L) token ids, padded with 0 at the end; columns of padding only are cut.
        """
        tokens = without_padding(tokens).long()
        mask = tokens != PAD  # (B, L)
        # The embedding of padding is zero, also after dropout.
        return self.encode(self.embedding(tokens), mask)


def empty_instructions(tokens: np.ndarray) -> np.ndarray:
    """Return the first (BOS) and last token (EOS) of instructions (B, L) as (B, 2)."""
    length = (tokens != PAD).sum(1)
    return np.stack([tokens[:, 0], tokens[np.arange(len(tokens)), length - 1]], 1)


def readable(tokens: np.ndarray, use_instructions: bool) -> np.ndarray:
    """Return what an agent reads of instructions (B, L): all of them, or empty ones (B, 2)."""
    return tokens if use_instructions else empty_instructions(tokens)


def cropped(tokens: np.ndarray) -> Tensor:
    """Return token ids (B, L) as a tensor without columns of padding."""
    return torch.from_numpy(np.ascontiguousarray(without_padding(tokens))).long()
