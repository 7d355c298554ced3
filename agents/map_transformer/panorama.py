"""Panorama encoder: tokens of the views of one viewpoint, and their mean."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.envdrop.attention import Dropout, drop
from agents.envdrop.visual import ViewEncoder
from agents.map_transformer.layers import EPS
from agents.settings.map_transformer import MapTransformerConfig

DIRECTION_SIZE = 7  # sine and cosine of heading and elevation, and three ones (DUET: box size)
OTHER_VIEW, CANDIDATE_VIEW, OBJECT = 0, 1, 2
_LEAST_DEVIATION = 1e-6


class PanoramaInputs(NamedTuple):
    """Views of P viewpoints in the order of `MapGeometry`.

    Attributes:
        features: (P, V, D) visual features.
        directions: (P, V, 7) sine and cosine of heading and elevation relative to the agent's view,
            then three ones.
        types: (P, V) int64: 1 for candidates, 0 for other views, 2 for objects.
        mask: (P, V) bool, False on padding.
        dropout: (P, D) multipliers of the features, see `PanoramaEncoder.episode_dropout`; None
            without.
        hidden: (P, V) bool, views whose features are zero, as targets of pre-training; None for no
            such view.
    """

    features: Tensor
    directions: Tensor
    types: Tensor
    mask: Tensor
    dropout: Tensor | None = None
    hidden: Tensor | None = None


class PanoramaEncoder(nn.Module):
    """Transformer over the views of a viewpoint.

    Args:
        config: Sizes of the network.
        feature_size: Width D of the visual features; may be 0.
        views: Network that encodes the features first, such as CLEAR's; None without.
    """

    def __init__(
        self, config: MapTransformerConfig, feature_size: int, views: ViewEncoder | None = None
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.feature_size = feature_size
        self.views = views
        self._episode_rate = 0.0
        element_rate = config.feature_dropout
        if config.feature_dropout_kind == "episode":
            self._episode_rate, element_rate = element_rate, 0.0
        if feature_size:
            self.features = nn.Linear(feature_size, width)
            self.features_norm = nn.LayerNorm(width, EPS)
        self.standardises = config.standardise and feature_size > 0 and views is None
        if self.standardises:
            self.register_buffer("feature_mean", torch.zeros(feature_size))
            self.register_buffer("feature_deviation", torch.ones(feature_size))
        self.directions = nn.Linear(DIRECTION_SIZE, width)
        self.directions_norm = nn.LayerNorm(width, EPS)
        self.types = nn.Embedding(3, width)
        # BERT's embedding of token type 1.
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.feature_dropout = Dropout(element_rate)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.panorama_layers))
        self.final_norm = nn.LayerNorm(width, EPS)

    def fit(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the mean (D,) and standard deviation (D,) of standardised features."""
        self.get_buffer("feature_mean").copy_(mean)
        self.get_buffer("feature_deviation").copy_(deviation.clamp_min(_LEAST_DEVIATION))

    def episode_dropout(self, episodes: int) -> Tensor | None:
        """Draw the multipliers (E, D) of the features of E episodes.

        Returns:
            None in evaluation mode, and unless the settings have masks per episode.
        """
        if not (self.training and self._episode_rate and self.feature_size):
            return None
        ones = torch.ones(episodes, self.feature_size, device=self.types.weight.device)
        return drop(ones, self._episode_rate)

    def forward(self, inputs: PanoramaInputs) -> tuple[Tensor, Tensor]:
        """Encode panoramas.

        Returns:
            tokens: (P, V, d); arbitrary on padding.
            means: (P, d) mean over the tokens of each panorama.
        """
        x = self.directions_norm(self.directions(inputs.directions))
        if inputs.features.shape[2]:
            features = inputs.features
            if self.views is not None:
                features = self.views.features(features)
            if self.standardises:
                mean, deviation = (self.get_buffer(f"feature_{n}") for n in ("mean", "deviation"))
                features = (features - mean) / deviation
            features = self.feature_dropout(features)
            if inputs.dropout is not None:
                features = features * inputs.dropout[:, None]
            if inputs.hidden is not None:
                features = features.masked_fill(inputs.hidden[..., None], 0.0)
            x = x + self.features_norm(self.features(features))
        x = self.dropout(self.norm(x + self.types(inputs.types) + self.type_embedding))
        padding = ~inputs.mask
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding)
        x = self.final_norm(x)
        weights = inputs.mask / inputs.mask.sum(1, keepdim=True)
        return x, (weights[:, None] @ x)[:, 0]


def _layer(config: MapTransformerConfig) -> nn.TransformerEncoderLayer:
    """Build a layer that normalises before each part."""
    return nn.TransformerEncoderLayer(
        config.hidden_size,
        config.heads,
        config.feed_forward_size,
        config.dropout,
        functional.gelu,
        batch_first=True,
        norm_first=True,
    )
