"""Supervised training of an image tower by one label per view: its largest object.

ImageNet labels a photograph with one category, so this objective has the kind of supervision of
encoders that are pre-trained on ImageNet. Tower, views, iterations and optimiser are those of
`clipnav.encoders.pretraining.supervised`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from clipnav.encoders.pretraining.learner import as_images, image_features
from clipnav.encoders.pretraining.supervised import NO_LABEL


@dataclass(frozen=True, eq=False)
class SingleLabelBatch:
    """B views with one label each among T object categories.

    Attributes:
        images: (B, 3, H, W) float32 RGB in 0..1.
        label: (B,) int64, `NO_LABEL` for views without a clearly visible object, which are excluded
            from the loss.
    """

    images: torch.Tensor
    label: torch.Tensor


class SingleLabel(nn.Module):
    """Single-label objective: a linear classifier over pooled features."""

    def __init__(self, model: Any, things: int, half: bool = False) -> None:
        super().__init__()
        self._half = half
        self.visual = model.visual
        self.head = nn.Linear(model.visual.output_dim, things)

    @property
    def architecture(self) -> dict[str, str]:
        """Objective and number of labels, as metadata of the weights."""
        return {"objective": "single label", "things": str(self.head.out_features)}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, T) for images (B, 3, H, W) in 0..1."""
        return self.head(image_features(self.visual, images, self._half))

    @torch.inference_mode()
    def classify(self, views: np.ndarray) -> tuple[np.ndarray]:
        """Return logits (B, T) for views (B, H, W, 3) uint8 RGB of the input size."""
        return (self(as_images(views)).numpy(),)

    def loss(self, batch: SingleLabelBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the cross-entropy of labelled views, averaged over all views, and the accuracy."""
        logits = self(batch.images)
        total = F.cross_entropy(logits, batch.label, ignore_index=NO_LABEL, reduction="sum")
        labelled = batch.label != NO_LABEL
        accuracy = (logits.argmax(1) == batch.label).sum() / labelled.sum().clamp(min=1)
        return total / len(batch.images), {"accuracy": accuracy.item()}

    def constrain(self) -> None:
        """Do nothing, because no weight is bounded."""

    @torch.no_grad()
    def undo_feature_scale(self, factor: float) -> None:
        """Divide the classifier's weights by the factor that the features were multiplied by."""
        self.head.weight.div_(factor)
