"""Captioner: a transformer encoder over grid cells and an autoregressive decoder over words.

Follows CLIP-ViL-Direct/caption (ImageCaptioning.pytorch, `TransformerModel.py`): grid features are
embedded and encoded (in the original without positions), and words are decoded with sinusoidal
positions. Layers are pre-norm, with a final norm. Token id 0 starts, ends and pads a caption.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clipnav.vl_tasks.captioning.settings import CaptionerConfig
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.networks.attention import Attention, FeedForward, GridPositions, layer_norm


class EncoderLayer(nn.Module):
    """Self-attention over grid cells and a feed-forward layer."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.attention = Attention(config.hidden_size, config.heads, config.dropout)
        self.feed_forward = FeedForward(
            config.hidden_size, config.feed_forward_size, config.dropout
        )
        self.norms = nn.ModuleList(
            layer_norm(config.hidden_size, config.faithful) for _ in range(2)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return new states of grid cells x (B, N, C); `mask` (B, N) is False in the padding."""
        y = self.norms[0](x)
        x = x + self.dropout(self.attention(y, y, mask))
        return x + self.dropout(self.feed_forward(self.norms[1](x)))


@dataclass
class LayerMemory:
    """Key-value cache of a decoder layer.

    Attributes:
        place_keys: (B, heads, N, C / heads) keys of the grid cells.
        place_values: (B, heads, N, C / heads) values of the grid cells.
        keys: (B, heads, T, C / heads) keys of the previous words; None before the first word.
        values: Values of the previous words, like `keys`.
    """

    place_keys: Tensor
    place_values: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None


class DecoderLayer(nn.Module):
    """Causal self-attention over words, cross-attention to grid cells and a feed-forward layer."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.own = Attention(config.hidden_size, config.heads, config.dropout)
        self.seen = Attention(config.hidden_size, config.heads, config.dropout)
        self.feed_forward = FeedForward(
            config.hidden_size, config.feed_forward_size, config.dropout
        )
        self.norms = nn.ModuleList(
            layer_norm(config.hidden_size, config.faithful) for _ in range(3)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cells: Tensor, mask: Tensor) -> Tensor:
        """Return the new states of all words x (B, T, C); each word attends to those before it."""
        y = self.norms[0](x)
        x = x + self.dropout(self.own.attend(y, *self.own.keys_values(y), None, causal=True))
        x = x + self.dropout(self.seen(self.norms[1](x), cells, mask))
        return x + self.dropout(self.feed_forward(self.norms[2](x)))

    def step(self, x: Tensor, memory: LayerMemory, mask: Tensor) -> Tensor:
        """Return the new state of the next word x (B, 1, C) and add the word to the memory."""
        y = self.norms[0](x)
        keys, values = self.own.keys_values(y)
        if memory.keys is not None and memory.values is not None:
            keys = torch.cat([memory.keys, keys], dim=2)
            values = torch.cat([memory.values, values], dim=2)
        memory.keys, memory.values = keys, values
        x = x + self.dropout(self.own.attend(y, keys, values, None))
        attended = self.seen.attend(
            self.norms[1](x), memory.place_keys, memory.place_values, mask[:, None, None]
        )
        x = x + self.dropout(attended)
        return x + self.dropout(self.feed_forward(self.norms[2](x)))


class Captioner(nn.Module):
    """Transformer captioner."""

    positions: Tensor

    def __init__(
        self, channels: int, vocabulary: int, config: CaptionerConfig, longest: int = 32
    ) -> None:
        super().__init__()
        self.width = config.hidden_size
        self.embed = nn.Sequential(
            nn.Linear(channels, config.hidden_size), nn.ReLU(), nn.Dropout(config.input_dropout)
        )
        self.places = GridPositions(config.hidden_size) if config.positions else None
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.encoder_norm = layer_norm(config.hidden_size, config.faithful)
        self.words = nn.Embedding(vocabulary, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.decoder_norm = layer_norm(config.hidden_size, config.faithful)
        self.generator = nn.Linear(config.hidden_size, vocabulary)
        self.register_buffer("positions", sinusoids(longest, config.hidden_size), persistent=False)
        # As in the original, `embed` (`att_embed`) keeps torch's default initialisation.
        for part in (self.encoder, self.words, self.decoder, self.generator):
            _draw_xavier(part)

    def encode(self, grids: Grids) -> Tensor:
        """Encode the grid cells (B, N, C)."""
        x = self.embed(grids.features)
        if self.places is not None:
            x = x + self.places(grids)
        for layer in self.encoder:
            x = layer(x, grids.mask)
        return self.encoder_norm(x)

    def forward(self, cells: Tensor, mask: Tensor, captions: Tensor) -> Tensor:
        """Compute the logits of all words of captions with teacher forcing.

        Args:
            cells: (B, N, C) encoded grid cells.
            mask: (B, N), False in the padding.
            captions: (B, T) input words: 0, the first word, ...

        Returns:
            (B, T, vocabulary) logits.
        """
        x = self._read(captions, 0)
        for layer in self.decoder:
            x = layer(x, cells, mask)
        return self.generator(self.decoder_norm(x))

    def begin(self, cells: Tensor) -> list[LayerMemory]:
        """Build the key-value cache of the decoder before the first word."""
        return [LayerMemory(*layer.seen.keys_values(cells)) for layer in self._layers]

    def step(
        self, words: Tensor, position: int, memory: Sequence[LayerMemory], mask: Tensor
    ) -> Tensor:
        """Compute the logits (B, vocabulary) of the word after `words` (B,) at `position`."""
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


def _draw_xavier(module: nn.Module) -> None:
    """Initialise all matrices of a module with Xavier uniform weights.

    The joint key-value matrix is initialised as the two separate matrices of the original.
    """
    for name, weight in module.named_parameters():
        if weight.dim() > 1:
            for matrix in weight.chunk(2) if name.endswith("key_value.weight") else [weight]:
                nn.init.xavier_uniform_(matrix)


def sinusoids(length: int, width: int) -> Tensor:
    """Return sinusoidal position encodings (length, width)."""
    positions = torch.arange(length)[:, None]
    angles = positions * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table
