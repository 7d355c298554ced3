"""Visual features before a transformer: encoded, standardised, and with dropout."""

import torch
from torch import Tensor, nn

from clipnav.agents.layers.attention import Dropout, drop
from clipnav.agents.layers.visual import ViewEncoder
from clipnav.agents.transformer.network_settings import TransformerConfig

_LEAST_DEVIATION = 1e-6


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
