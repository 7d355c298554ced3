"""Layers of BERT and LXMERT: attention, feed-forward network, and their combinations.

All layers normalise after the residual connection, as in BERT.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.layers.attention import Dropout, drop
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.transformer.settings import TransformerConfig

_LEAST_DEVIATION = 1e-6
EPS = 1e-12  # of layer normalisation in BERT
_MASKED = -1e4  # BERT's additive mask of padding


class FeatureInput(nn.Module):
    """Preparation of the visual features of views."""

    def __init__(
        self, config: TransformerConfig, feature_size: int, views: ViewEncoder | None = None
    ) -> None:
        super().__init__()
        self.feature_size = feature_size
        self.views = views
        self._episode_rate = 0.0
        element_rate = config.feature_dropout
        if config.feature_dropout_kind == "episode":
            self._episode_rate, element_rate = element_rate, 0.0
        self.register_buffer("_ones", torch.ones(1, 1), persistent=False)
        self.feature_dropout = Dropout(element_rate)
        self.standardises = config.standardise and feature_size > 0 and views is None
        if self.standardises:
            self.register_buffer("feature_mean", torch.zeros(feature_size))
            self.register_buffer("feature_deviation", torch.ones(feature_size))

    def fit(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the mean (D,) and standard deviation (D,) of standardised features."""
        self.get_buffer("feature_mean").copy_(mean)
        self.get_buffer("feature_deviation").copy_(deviation.clamp_min(_LEAST_DEVIATION))

    def episode_dropout(self, episodes: int) -> Tensor | None:
        """Draw the multipliers (E, D) of the features of E episodes."""
        if not (self.training and self._episode_rate and self.feature_size):
            return None
        ones = self.get_buffer("_ones").repeat(episodes, self.feature_size)
        return drop(ones, self._episode_rate)

    def prepared(self, features: Tensor, dropout: Tensor | None = None) -> Tensor:
        """Return prepared features.

        Args:
            features: (P, ..., D) visual features.
            dropout: (P, D) multipliers, see `episode_dropout`; None without.
        """
        if self.views is not None:
            features = self.views.features(features)
        if self.standardises:
            mean, deviation = (self.get_buffer(f"feature_{n}") for n in ("mean", "deviation"))
            features = (features - mean) / deviation
        features = self.feature_dropout(features)
        if dropout is None:
            return features
        between = (1,) * (features.dim() - 2)
        return features * dropout.view(len(dropout), *between, self.feature_size)


class KeysValues(NamedTuple):
    """Keys and values of an attention layer, both (B, heads, L, d / heads)."""

    keys: Tensor
    values: Tensor

    def rows(self, index: Tensor) -> "KeysValues":
        """Return the rows of an index (R,)."""
        return KeysValues(self.keys[index], self.values[index])


def padding_bias(mask: Tensor) -> Tensor:
    """Return the additive attention bias (B, 1, 1, L) of a mask (B, L) that is False on padding."""
    return torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, _MASKED)[:, None, None]


class Attention(nn.Module):
    """Multi-head attention with residual connection and layer normalisation."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self._heads = config.heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)

    def keys_values(self, context: Tensor) -> KeysValues:
        """Return keys and values of a context (B, L, d)."""
        return KeysValues(self._split(self.key(context)), self._split(self.value(context)))

    def forward(self, x: Tensor, context: KeysValues, bias: Tensor) -> Tensor:
        """Attend from tokens to a context.

        A context of E rows may serve R = E * S rows of tokens, S consecutive rows each, such as all
        steps of an episode; its keys and values are then not repeated.

        Args:
            x: (R, N, d) tokens.
            context: Keys and values of (E, L, d).
            bias: Added to the attention scores before the softmax, broadcast to (E, heads, N, L);
                N must be 1 if R is not E.

        Returns:
            (R, N, d).
        """
        rows = len(context.keys)
        queries = self._split(self.query(x.reshape(rows, -1, x.shape[2])))
        rate = self.dropout.rate if self.training else 0.0
        mixed = _mixed(queries, context, bias.to(queries.dtype), rate)  # (E, heads, S * N, d / h)
        mixed = mixed.transpose(1, 2).reshape(x.shape)
        return self.norm(self.dropout(self.output(mixed)) + x)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self._heads, -1)).transpose(1, 2)


def _mixed(queries: Tensor, context: KeysValues, bias: Tensor, rate: float) -> Tensor:
    """Return the attended values for queries (E, heads, N, d / heads), with dropout of weights."""
    if not rate or queries.device.type != "cpu":
        return functional.scaled_dot_product_attention(
            queries, *context, attn_mask=bias, dropout_p=rate
        )
    # torch has no fused attention with dropout for the CPU; its parts are slower than these.
    scores = (queries * queries.shape[3] ** -0.5) @ context.keys.transpose(2, 3) + bias
    return drop(scores.softmax(3), rate) @ context.values


class FeedForward(nn.Module):
    """Feed-forward network with residual connection and layer normalisation."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.hidden_size, config.feed_forward_size)
        self.outer = nn.Linear(config.feed_forward_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, EPS)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token of (R, N, d)."""
        return self.norm(self.dropout(self.outer(functional.gelu(self.inner(x)))) + x)


class SelfAttentionLayer(nn.Module):
    """Self-attention and a feed-forward network: a layer of BERT."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, bias: Tensor, first: int | None = None) -> Tensor:
        """Encode tokens.

        Args:
            x: (R, N, d) tokens.
            bias: Additive attention bias, broadcast to (R, heads, N, N).
            first: Number of leading tokens to return, which saves the queries of all others; None
                for all. With it, `bias` must not depend on the query.
        """
        context = self.attention.keys_values(x)
        return self.feed_forward(self.attention(x[:, :first], context, bias))


class CrossModalLayer(nn.Module):
    """Attention to the text, then self-attention and a feed-forward network."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.cross = Attention(config)
        self.visual = SelfAttentionLayer(config)

    def forward(
        self, x: Tensor, text: KeysValues, text_bias: Tensor, bias: Tensor, first: int | None = None
    ) -> Tensor:
        """Encode tokens.

        Args:
            x: (R, N, d) tokens.
            text: Keys and values of the text (E, L, d), where R is a multiple of E.
            text_bias: (E, 1, 1, L) bias of the text's padding.
            bias: Bias of the self-attention, broadcast to (R, heads, N, N).
        """
        return self.visual(self.cross(x, text, text_bias), bias, first)


class TwoWayLayer(CrossModalLayer):
    """A cross-modal layer in which the text can attend to the tokens, too (LXMERT).

    Both directions share the weights of the attention.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.language = SelfAttentionLayer(config)

    def both(
        self,
        x: Tensor,
        text: Tensor,
        bias: Tensor,
        text_bias: Tensor,
        first: tuple[int | None, int | None],
    ) -> tuple[Tensor, Tensor]:
        """Encode tokens and text.

        Args:
            x: (R, N, d) tokens.
            text: (R, L, d) states of the text.
            bias: (R, 1, 1, N) bias of the tokens' padding.
            text_bias: (R, 1, 1, L) bias of the text's padding.
        """
        seen = self.cross(text, self.cross.keys_values(x), bias)
        tokens = self(x, self.cross.keys_values(text), text_bias, bias, first[0])
        return tokens, self.language(seen, text_bias, first[1])


class ScoreHead(nn.Module):
    """Two-layer perceptron with an output per token."""

    def __init__(self, width: int, hidden: int, outputs: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden, EPS)
        self.dropout = Dropout(dropout)
        self.outer = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (..., outputs) of inputs (..., width)."""
        return self.outer(self.dropout(self.norm(functional.relu(self.inner(x)))))


def initialise(module: nn.Module, trained: nn.Module | None = None) -> None:
    """Initialise as BERT does: normal weights of standard deviation 0.02, zero biases."""
    for child in module.children():
        if child is not trained:
            initialise(child, trained)
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
