"""Panorama encoder: tokens of the views of one viewpoint, and their mean."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.duet.network_settings import MapTransformerConfig
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.transformer.features import FeatureInput
from clipnav.agents.transformer.layers import EPS

DIRECTION_SIZE = 7  # sine and cosine of heading and elevation, and three ones (DUET: box size)
OTHER_VIEW, CANDIDATE_VIEW, OBJECT = 0, 1, 2


class PanoramaInputs(NamedTuple):
    """Views of P viewpoints in the order of `MapGeometry`.

    Attributes:
        features: (P, V, D) visual features.
        directions: (P, V, 7) sine and cosine of heading and elevation relative to the agent's view,
            then three ones.
        types: (P, V) int64: 1 for candidates, 0 for other views, 2 for objects.
        mask: (P, V) bool, False on padding.
        dropout: (P, D) multipliers of the features, see `FeatureInput.episode_dropout`; None
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


class PanoramaEncoder(FeatureInput):
    """Transformer over the views of a viewpoint."""

    def __init__(
        self, config: MapTransformerConfig, feature_size: int, views: ViewEncoder | None = None
    ) -> None:
        super().__init__(config, feature_size, views)
        width = config.hidden_size
        if feature_size:
            self.features = nn.Linear(feature_size, width)
            self.features_norm = nn.LayerNorm(width, EPS)
        self.directions = nn.Linear(DIRECTION_SIZE, width)
        self.directions_norm = nn.LayerNorm(width, EPS)
        self.types = nn.Embedding(3, width)
        # BERT's embedding of token type 1.
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.panorama_layers))
        self.final_norm = nn.LayerNorm(width, EPS)

    def forward(self, inputs: PanoramaInputs) -> tuple[Tensor, Tensor]:
        """Encode panoramas.

        Returns:
            tokens: (P, V, d); arbitrary on padding.
            means: (P, d) mean over the tokens of each panorama.
        """
        x = self.directions_norm(self.directions(inputs.directions))
        if inputs.features.shape[2]:
            features = self.prepared(inputs.features, inputs.dropout)
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
