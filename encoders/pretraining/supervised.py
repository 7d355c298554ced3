"""Supervised training of an image tower by labels: room type and visible object categories.

It is a control for the benefit of captions over labels: the tower, the views, the steps and the
optimiser are those of `clipnav.encoders.pretraining.contrastive`; only the objective differs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from clipnav.encoders.pretraining.learner import as_images, image_features

NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """B views with labels among R room types and T object categories.

    Attributes:
        images: (B, 3, H, W) float32 RGB in 0..1.
        room: (B,) int64, `NO_LABEL` where no room type dominates.
        shown: (B, T) bool, True for categories that are visible.
        judged: (B, T) bool, True where `shown` is certain; all others are excluded from the loss.
    """

    images: torch.Tensor
    room: torch.Tensor
    shown: torch.Tensor
    judged: torch.Tensor


class Supervised(nn.Module):
    """Supervised objective: linear classifiers of rooms and objects over pooled features."""

    def __init__(self, model: Any, rooms: int, things: int, half: bool = False) -> None:
        super().__init__()
        self._half = half
        self.visual = model.visual
        width: int = model.visual.output_dim
        self.room_head = nn.Linear(width, rooms)
        self.thing_head = nn.Linear(width, things)

    @property
    def architecture(self) -> dict[str, str]:
        """Objective and numbers of labels, as metadata of the weights."""
        rooms, things = self.room_head.out_features, self.thing_head.out_features
        return {"objective": "supervised", "rooms": str(rooms), "things": str(things)}

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, R) of rooms and (B, T) of objects for images (B, 3, H, W) in 0..1."""
        features = image_features(self.visual, images, self._half)
        return self.room_head(features), self.thing_head(features)

    @torch.inference_mode()
    def classify(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits (B, R) and (B, T) for views (B, H, W, 3) uint8 RGB of the input size."""
        rooms, things = self(as_images(views))
        return rooms.numpy(), things.numpy()

    def loss(self, batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the sum of `labels_loss`, its two parts and the accuracy on labelled rooms."""
        rooms, things = self(batch.images)
        room_loss, thing_loss = labels_loss(rooms, things, batch)
        labelled = batch.room != NO_LABEL
        accuracy = (rooms.argmax(1) == batch.room).sum() / labelled.sum().clamp(min=1)
        return room_loss + thing_loss, {
            "room_loss": room_loss.item(),
            "thing_loss": thing_loss.item(),
            "room_accuracy": accuracy.item(),
        }

    def constrain(self) -> None:
        """Do nothing, because no weight is bounded."""

    @torch.no_grad()
    def undo_feature_scale(self, factor: float) -> None:
        """Divide the classifiers' weights by the factor that the features were multiplied by."""
        for head in (self.room_head, self.thing_head):
            head.weight.div_(factor)


def labels_loss(
    rooms: torch.Tensor, things: torch.Tensor, batch: LabelledBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the negative log-likelihood of rooms and objects, averaged over the views.

    The room type is one of R (softmax); each object category is binary (sigmoid).

    Args:
        rooms: (B, R) logits.
        things: (B, T) logits.
    """
    count = len(batch.images)
    room_loss = F.cross_entropy(rooms, batch.room, ignore_index=NO_LABEL, reduction="sum")
    pairs = F.binary_cross_entropy_with_logits(things, batch.shown.float(), reduction="none")
    return room_loss / count, (pairs * batch.judged).sum() / count
