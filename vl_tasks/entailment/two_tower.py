"""Visual entailment baseline: a small network over the CLIP embeddings of image and sentence."""

import torch
from torch import Tensor, nn


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
