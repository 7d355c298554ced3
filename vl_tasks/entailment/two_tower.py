"""A baseline for visual entailment: a small network over CLIP's embeddings of both sides."""

import torch
from torch import Tensor, nn


class TwoTower(nn.Module):
    """Compares an embedding of the picture with one of the sentence.

    Args:
        width: D of the embeddings.
        hidden: Hidden width.
        classes: How many labels there are.
        dropout: On the hidden layer.
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
        """Scores (B, classes) of pictures (B, D) and sentences (B, D), both of unit length."""
        parts = [pictures, sentences, (pictures - sentences).abs(), pictures * sentences]
        return self.layers(torch.cat(parts, dim=1))
