"""The captioner: a transformer from the places of a picture to words.

That of CLIP-ViL-Direct/caption (ImageCaptioning.pytorch, `TransformerModel.py`): places are
embedded and encoded, there without positions, and words decoded with sinusoidal ones; layers are
normed before they are used, and once more at the end. Number 0 begins a caption, ends it and pads
it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vl_tasks.grids.grids import Grids
from vl_tasks.networks.attention import Attention, FeedForward
from vl_tasks.networks.positions import GridPositions
from vl_tasks.settings.configs import CaptionerConfig

_POSITIONS = 512  # words that a caption may have


class UnbiasedNorm(nn.Module):
    """The originals' layer norm: unbiased spread, to which epsilon is added outside the root."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normed x (..., C)."""
        spread = x.std(-1, keepdim=True) + 1e-6
        return self.weight * (x - x.mean(-1, keepdim=True)) / spread + self.bias


def layer_norm(config: CaptionerConfig) -> nn.Module:
    """The norm that the settings ask for."""
    return UnbiasedNorm(config.width) if config.faithful else nn.LayerNorm(config.width)


class EncoderLayer(nn.Module):
    """Self-attention over places and a feed-forward layer."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.feed_forward = FeedForward(config.width, config.feed_forward, config.dropout)
        self.norms = nn.ModuleList(layer_norm(config) for _ in range(2))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """New states of places x (B, N, C), of which `mask` (B, N) are real."""
        y = self.norms[0](x)
        x = x + self.dropout(self.attention(y, y, mask))
        return x + self.dropout(self.feed_forward(self.norms[1](x)))


@dataclass
class LayerMemory:
    """What a decoder layer keeps while it writes a caption.

    Attributes:
        place_keys: (B, heads, N, C / heads).
        place_values: The same.
        keys: (B, heads, T, C / heads) of the words so far; None before the first.
        values: The same.
    """

    place_keys: Tensor
    place_values: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None


class DecoderLayer(nn.Module):
    """Causal self-attention over words, attention to places and a feed-forward layer."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.own = Attention(config.width, config.heads, config.dropout)
        self.seen = Attention(config.width, config.heads, config.dropout)
        self.feed_forward = FeedForward(config.width, config.feed_forward, config.dropout)
        self.norms = nn.ModuleList(layer_norm(config) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """New states of all words x (B, T, C) of captions, each of which sees those before it."""
        y = self.norms[0](x)
        x = x + self.dropout(self.own.attend(y, *self.own.keys_values(y), None, causal=True))
        x = x + self.dropout(self.seen(self.norms[1](x), places, mask))
        return x + self.dropout(self.feed_forward(self.norms[2](x)))

    def step(self, x: Tensor, memory: LayerMemory, mask: Tensor) -> Tensor:
        """New state of the next word x (B, 1, C), which is added to the memory."""
        y = self.norms[0](x)
        keys, values = self.own.keys_values(y)
        if memory.keys is not None and memory.values is not None:
            keys = torch.cat([memory.keys, keys], dim=2)
            values = torch.cat([memory.values, values], dim=2)
        memory.keys, memory.values = keys, values
        x = x + self.dropout(self.own.attend(y, keys, values, None))
        looked = self.seen.attend(
            self.norms[1](x), memory.place_keys, memory.place_values, mask[:, None, None]
        )
        x = x + self.dropout(looked)
        return x + self.dropout(self.feed_forward(self.norms[2](x)))


class Captioner(nn.Module):
    """The network.

    Args:
        channels: C of the grids.
        vocabulary: How many numbers words have; 0 begins, ends and pads.
        config: Sizes.
    """

    positions: Tensor

    def __init__(self, channels: int, vocabulary: int, config: CaptionerConfig) -> None:
        super().__init__()
        self.width = config.width
        self.embed = nn.Sequential(
            nn.Linear(channels, config.width), nn.ReLU(), nn.Dropout(config.input_dropout)
        )
        self.places = GridPositions(config.width) if config.positions else None
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.encoder_norm = layer_norm(config)
        self.words = nn.Embedding(vocabulary, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.decoder_norm = layer_norm(config)
        self.generator = nn.Linear(config.width, vocabulary)
        self.register_buffer("positions", sinusoids(_POSITIONS, config.width), persistent=False)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)

    def encode(self, grids: Grids) -> Tensor:
        """Encoded places (B, N, C)."""
        x = self.embed(grids.features)
        if self.places is not None:
            x = x + self.places(grids)
        for layer in self.encoder:
            x = layer(x, grids.mask)
        return self.encoder_norm(x)

    def forward(self, places: Tensor, mask: Tensor, captions: Tensor) -> Tensor:
        """Scores of the words of whole captions.

        Args:
            places: (B, N, C), encoded.
            mask: (B, N) which of them are real.
            captions: (B, T) what comes before each word: 0, the first word, ...

        Returns:
            (B, T, vocabulary).
        """
        x = self._read(captions, 0)
        for layer in self.decoder:
            x = layer(x, places, mask)
        return self.generator(self.decoder_norm(x))

    def begin(self, places: Tensor) -> list[LayerMemory]:
        """Memory of the decoder before the first word."""
        return [LayerMemory(*layer.seen.keys_values(places)) for layer in self._layers]

    def step(
        self, words: Tensor, position: int, memory: Sequence[LayerMemory], mask: Tensor
    ) -> Tensor:
        """Scores (B, vocabulary) of the word that follows `words` (B,) at a position."""
        x = self._read(words[:, None], position)
        for layer, kept in zip(self._layers, memory, strict=True):
            x = layer.step(x, kept, mask)
        return self.generator(self.decoder_norm(x[:, 0]))

    @property
    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def _read(self, captions: Tensor, position: int) -> Tensor:
        embedded = self.words(captions) * math.sqrt(self.width)  # (B, T, C)
        return self.dropout(embedded + self.positions[position : position + captions.shape[1]])


def sinusoids(length: int, width: int) -> Tensor:
    """Positions (length, width): sines and cosines of falling frequency, in turn."""
    places = torch.arange(length)[:, None]
    angles = places * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table
