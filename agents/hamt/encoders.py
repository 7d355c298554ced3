"""Encoders of past steps and of what the agent sees (HAMT).

HAMT `finetune_src/models/vilmodel_cmt.py: HistoryEmbeddings, ImageEmbeddings`. Letters in shapes
are those of `clipnav.agents.hamt.model`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from clipnav.agents.hamt.settings import HistoryTransformerConfig
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.transformer.layers import EPS, SelfAttentionLayer

OTHER_VIEW, CANDIDATE_VIEW, STOP_VIEW = 0, 1, 2


class StepInputs(NamedTuple):
    """P steps of the past.

    Attributes:
        view: (P, D) visual features of the view that the agent faced.
        action: (P, A) angle feature of the action that it took; zero for stop.
        panorama: (P, 36, D) visual features of all views.
        angles: (P, 36, A) angle features of all views.
        numbers: (P,) int64 numbers of the steps, from 0.
        dropout: (P, D) multipliers of the visual features, see `FeatureInput`; None without.
    """

    view: Tensor
    action: Tensor
    panorama: Tensor
    angles: Tensor
    numbers: Tensor
    dropout: Tensor | None = None


class ViewInputs(NamedTuple):
    """What R agents see: stop, the candidates, and the views that show none of them.

    Attributes:
        features: (R, V, D) visual features.
        angles: (R, V, A) angle features; zero for stop.
        types: (R, V) int64: 2 for stop, 1 for candidates, 0 for other views.
        mask: (R, V) bool, False on padding.
        actions: Number of leading tokens that contain stop and all candidates.
        dropout: (R, D) multipliers of the visual features, see `FeatureInput`; None without.
    """

    features: Tensor
    angles: Tensor
    types: Tensor
    mask: Tensor
    actions: int
    dropout: Tensor | None = None


class ViewEmbedding(nn.Module):
    """Sum of the projected visual and angle features of views, each normalised."""

    def __init__(self, width: int, feature_size: int, angle_size: int) -> None:
        super().__init__()
        if feature_size:
            self.features = nn.Linear(feature_size, width)
            self.features_norm = nn.LayerNorm(width, EPS)
        self.angles = nn.Linear(angle_size, width)
        self.angles_norm = nn.LayerNorm(width, EPS)

    def forward(self, features: Tensor, angles: Tensor) -> Tensor:
        """Embed views (..., D) with angles (..., A); returns (..., d)."""
        x = self.angles_norm(self.angles(angles))
        if not features.shape[-1]:
            return x
        return x + self.features_norm(self.features(features))


class HistoryEncoder(nn.Module):
    """One token per past step: view, action, number of the step, and the encoded panorama."""

    def __init__(
        self, config: HistoryTransformerConfig, feature_size: int, angle_size: int
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.start = nn.Parameter(torch.zeros(width))
        self.view = ViewEmbedding(width, feature_size, angle_size)
        self.panorama = ViewEmbedding(width, feature_size, angle_size)
        self.layers = nn.ModuleList(
            SelfAttentionLayer(config) for _ in range(config.panorama_layers)
        )
        self.numbers = nn.Embedding(config.max_steps, width)
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)

    def start_tokens(self, episodes: int) -> Tensor:
        """Return the tokens (E, d) before the first step."""
        return self.dropout(self.norm(self.start + self.type_embedding).expand(episodes, -1))

    def forward(self, steps: StepInputs) -> Tensor:
        """Return the tokens (P, d) of steps with prepared features."""
        panorama = self.dropout(self.panorama(steps.panorama, steps.angles))  # (P, 36, d)
        no_bias = panorama.new_zeros(1, 1, 1, 1)
        for layer in self.layers:
            panorama = layer(panorama, no_bias)
        x = self.view(steps.view, steps.action) + self.numbers(steps.numbers)
        return self.dropout(self.norm(x + self.type_embedding + panorama.mean(1)))


class ObservationEncoder(nn.Module):
    """Tokens of stop, candidates and other views."""

    def __init__(
        self, config: HistoryTransformerConfig, feature_size: int, angle_size: int
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.view = ViewEmbedding(width, feature_size, angle_size)
        self.types = nn.Embedding(3, width)
        # BERT's embedding of token type 1.
        self.type_embedding = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, EPS)
        self.dropout = Dropout(config.dropout)

    def forward(self, views: ViewInputs) -> Tensor:
        """Return the tokens (R, V, d) of views with prepared features."""
        x = self.view(views.features, views.angles) + self.types(views.types)
        return self.dropout(self.norm(x + self.type_embedding))
