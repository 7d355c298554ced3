"""MCAN: self-attention over words, and attention over grid cells guided by the words.

Yu et al., "Deep Modular Co-Attention Networks for Visual Question Answering" (arXiv 1906.10770),
as implemented in openvqa (`openvqa/models/mcan`). Padding is masked everywhere, as there.
"""

import torch
from torch import Tensor, nn

from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.networks.attention import (
    Attention,
    FeedForward,
    GridPositions,
    JointVectors,
    layer_norm,
    masked_softmax,
)
from clipnav.vl_tasks.settings.networks import McanConfig


class WordEncoder(nn.Module):
    """Words in their context: embedding and a unidirectional LSTM."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return states (B, T, hidden) of tokens (B, T); padding changes none before it."""
        return self.lstm(self.embedding(tokens))[0]


class SelfAttention(nn.Module):
    """Self-attention and a feed-forward layer, each added and normed (post-norm)."""

    def __init__(self, config: McanConfig, unbiased: bool) -> None:
        super().__init__()
        self.attention = Attention(config.hidden_size, config.heads, config.dropout)
        self.feed_forward = FeedForward(
            config.hidden_size, config.feed_forward_size, config.dropout
        )
        self.norms = nn.ModuleList(layer_norm(config.hidden_size, unbiased) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the new states of x (B, L, C); `mask` (B, L) is True for real tokens."""
        x = self.norms[0](x + self.dropout(self.attention(x, x, mask)))
        return self.norms[1](x + self.dropout(self.feed_forward(x)))


class GuidedAttention(nn.Module):
    """Self-attention, attention to a guide and a feed-forward layer, each added and normed."""

    def __init__(self, config: McanConfig, unbiased: bool) -> None:
        super().__init__()
        self.own = Attention(config.hidden_size, config.heads, config.dropout)
        self.guided = Attention(config.hidden_size, config.heads, config.dropout)
        self.feed_forward = FeedForward(
            config.hidden_size, config.feed_forward_size, config.dropout
        )
        self.norms = nn.ModuleList(layer_norm(config.hidden_size, unbiased) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, guide: Tensor, guide_mask: Tensor) -> Tensor:
        """Return the new states of x (B, N, C) after attention to the guide (B, L, C)."""
        x = self.norms[0](x + self.dropout(self.own(x, x, mask)))
        x = self.norms[1](x + self.dropout(self.guided(x, guide, guide_mask)))
        return self.norms[2](x + self.dropout(self.feed_forward(x)))


class Pooling(nn.Module):
    """Several weighted means over a sequence, with weights from a small network."""

    def __init__(self, config: McanConfig, glimpses: int) -> None:
        super().__init__()
        self.weights = FeedForward(config.hidden_size, config.pooling_size, config.dropout)
        self.weights[-1] = nn.Linear(config.pooling_size, glimpses)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the means (B, G, C) over the real rows of x (B, L, C)."""
        weights = masked_softmax(self.weights(x), mask)  # (B, L, G)
        return weights.transpose(1, 2) @ x


class QuestionReader(nn.Module):
    """Words in their context, through self-attention."""

    def __init__(
        self, vocabulary: int, embedding: int, config: McanConfig, unbiased: bool = False
    ) -> None:
        super().__init__()
        self.words = WordEncoder(vocabulary, embedding, config.hidden_size)
        self.layers = nn.ModuleList(SelfAttention(config, unbiased) for _ in range(config.layers))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states (B, T, hidden) of tokens (B, T), and which are words (B, T)."""
        mask = tokens != 0
        x = self.words(tokens)
        for layer in self.layers:
            x = layer(x, mask)
        return x, mask


class GuidedCells(nn.Module):
    """Grid cells of an image, with attention guided by words."""

    def __init__(self, channels: int, config: McanConfig, unbiased: bool = False) -> None:
        super().__init__()
        self.project = nn.Linear(channels, config.hidden_size)
        self.positions = GridPositions(config.hidden_size) if config.positions else None
        self.layers = nn.ModuleList(GuidedAttention(config, unbiased) for _ in range(config.layers))

    def forward(self, grids: Grids, words: Tensor, word_mask: Tensor) -> Tensor:
        """Compute the states (B, N, hidden) of the grid cells."""
        x = self.project(grids.features)
        if self.positions is not None:
            x = x + self.positions(grids)
        for layer in self.layers:
            x = layer(x, grids.mask, words, word_mask)
        return x


class Mcan(nn.Module):
    """MCAN network."""

    def __init__(
        self,
        channels: int,
        vocabulary: int,
        embedding: int,
        classes: int,
        config: McanConfig,
        faithful: bool = False,
    ) -> None:
        super().__init__()
        self.reader = QuestionReader(vocabulary, embedding, config, faithful)
        self.places = GuidedCells(channels, config, faithful)
        self.pools = nn.ModuleList(Pooling(config, 1) for _ in range(2))
        self.merges = nn.ModuleList(
            nn.Linear(config.hidden_size, config.fused_size) for _ in range(2)
        )
        self.norm = layer_norm(config.fused_size, faithful)
        self.classifier = nn.Linear(config.fused_size, classes)

    @property
    def word_vectors(self) -> nn.Embedding:
        """Word embeddings, which GloVe can initialise."""
        return self.reader.words.embedding

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits (B, classes) of questions, token ids (B, T), about grids."""
        return self.classify(self.join(grids, tokens).fused)

    def join(self, grids: Grids, tokens: Tensor) -> JointVectors:
        """Compute the vectors of questions, token ids (B, T), about grids."""
        words, word_mask = self.reader(tokens)  # (B, T, hidden)
        cells = self.places(grids, words, word_mask)  # (B, N, hidden)
        question = self.pools[0](words, word_mask).flatten(1)
        image = self.pools[1](cells, grids.mask).flatten(1)
        merged = [merge(x) for merge, x in zip(self.merges, (question, image), strict=True)]
        return JointVectors(image, question, self.norm(torch.stack(merged).sum(0)))

    def classify(self, fused: Tensor) -> Tensor:
        """Compute the logits (B, classes) of fused vectors."""
        return self.classifier(fused)
