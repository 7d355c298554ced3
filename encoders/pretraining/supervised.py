"""Training of an image tower by labels: the kind of room and the things that a picture shows.

It shows what sentences teach a tower beyond labels: the tower, the pictures, the steps and the
optimiser are those of `encoders.pretraining.contrastive`; only the objective differs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from encoders.pretraining.schedules import image_features

NO_ROOM = -1


@dataclass(frozen=True, eq=False)
class LabelledBatch:
    """B pictures with their labels among R kinds of rooms and T categories of things.

    Attributes:
        images: (B, 3, H, W) float32 RGB in 0..1.
        room: (B,) int64, `NO_ROOM` where no kind of room is plain.
        shown: (B, T) bool, which things can be made out.
        judged: (B, T) bool, contains `shown`; of the others it is doubtful, and they have no part
            in the loss.
    """

    images: torch.Tensor
    room: torch.Tensor
    shown: torch.Tensor
    judged: torch.Tensor


class Supervised(nn.Module):
    """An image tower with a linear layer for rooms and one for things over its pooled features.

    Args:
        model: An open_clip model, of which the image tower alone is trained.
        rooms: R.
        things: T.
        half: Run the tower in bfloat16.
    """

    def __init__(self, model: Any, rooms: int, things: int, half: bool = False) -> None:
        super().__init__()
        self._half = half
        self.visual = model.visual
        width: int = model.visual.output_dim
        self.room_head = nn.Linear(width, rooms)
        self.thing_head = nn.Linear(width, things)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, R) of rooms and (B, T) of things of pictures (B, 3, H, W) in 0..1."""
        features = image_features(self.visual, images, self._half)
        return self.room_head(features), self.thing_head(features)

    @torch.inference_mode()
    def classify(self, views: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (B, R) and (B, T) of pictures (B, H, W, 3) uint8 RGB of the tower's size."""
        images = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
        rooms, things = self(images)
        return rooms.numpy(), things.numpy()

    def loss(self, batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """See `labels_loss`; logs its two parts and how many plain rooms are named right."""
        rooms, things = self(batch.images)
        room_loss, thing_loss = labels_loss(rooms, things, batch)
        plain = batch.room != NO_ROOM
        right = (rooms.argmax(1) == batch.room).sum() / plain.sum().clamp(min=1)
        return room_loss + thing_loss, {
            "room_loss": room_loss.item(),
            "thing_loss": thing_loss.item(),
            "room_accuracy": right.item(),
        }

    def constrain(self) -> None:
        """Nothing is kept within bounds."""

    @torch.no_grad()
    def features_were_scaled(self, factor: float) -> None:
        """Read features that have been multiplied by a factor as they were read before."""
        for head in (self.room_head, self.thing_head):
            head.weight.div_(factor)


def labels_loss(
    rooms: torch.Tensor, things: torch.Tensor, batch: LabelledBatch
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over the pictures of -log p of what is known of each: its room, and its things.

    The kind of room is one of R (softmax); each thing is there or not by itself (sigmoid).

    Args:
        rooms: (B, R) logits.
        things: (B, T) logits.
        batch: The labels.

    Returns:
        Two scalars, of rooms and of things; a part of which nothing is known is 0.
    """
    count = len(batch.images)
    room_loss = F.cross_entropy(rooms, batch.room, ignore_index=NO_ROOM, reduction="sum")
    pairs = F.binary_cross_entropy_with_logits(things, batch.shown.float(), reduction="none")
    return room_loss / count, (pairs * batch.judged).sum() / count
