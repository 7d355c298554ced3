"""Entailment networks."""

import torch
from torch import Tensor, nn

from clipnav.vl_tasks.data.pairs import LABELS
from clipnav.vl_tasks.grids.grids import Grids, GridScale
from clipnav.vl_tasks.networks.mcan import Mcan
from clipnav.vl_tasks.settings.configs import EntailmentConfig


class Fused(nn.Module):
    """MCAN over the words of a hypothesis and the grid cells of its image."""

    def __init__(self, config: EntailmentConfig, channels: int, vocabulary: int) -> None:
        super().__init__()
        self.scale = GridScale(channels)
        self.reasoner = Mcan(channels, vocabulary, config.embedding_size, len(LABELS), config.mcan)
        self.architecture = {
            "model": config.model,
            "feature width": str(channels),
            "vocabulary size": str(vocabulary),
        }

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits (B, labels) of hypotheses, token ids (B, T), about grids."""
        return self.reasoner(self.scale(grids), tokens)


class TwoTower(nn.Module):
    """Classifier of an image embedding and a sentence embedding.

    Args:
        width: Width D of the embeddings.
        hidden: Width of the hidden layers.
        classes: Number of labels.
        dropout: Dropout rate of the hidden layers.
    """

    def __init__(self, width: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4 * width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Compute the logits (B, classes) of unit-length image and sentence embeddings (B, D)."""
        parts = [pictures, sentences, (pictures - sentences).abs(), pictures * sentences]
        return self.layers(torch.cat(parts, dim=1))


class Towers(nn.Module):
    """Two-tower baseline."""

    def __init__(self, config: EntailmentConfig, width: int) -> None:
        super().__init__()
        self.reasoner = TwoTower(width, config.hidden_size, len(LABELS), config.dropout)
        self.architecture = {"model": config.model, "feature width": str(width)}

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Compute the logits (B, labels) of image and sentence embeddings (B, D)."""
        return self.reasoner(pictures, sentences)
