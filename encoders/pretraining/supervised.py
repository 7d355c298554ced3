"""Supervised training of an image tower by labels: room type and visible objects, or the largest.

It is a control for the benefit of captions over labels: the tower, the views, the steps and the
optimiser are those of `clipnav.encoders.pretraining.contrastive`; only the objective differs.
ImageNet labels a photograph with one category, so training by the largest object has the kind of
supervision of encoders that are pre-trained on ImageNet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from clipnav.encoders.pretraining.learner import as_images, image_features
from clipnav.encoders.pretraining.zero_shot import average_precision, enough_to_judge, mean_or_nan
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.houses.views.view_facts import UNMENTIONED, ViewFacts

NO_LABEL = -1


class Views(Protocol):
    """Source of training views."""

    def views(self, index: int) -> tuple[torch.Tensor, list[ViewFacts], np.random.Generator]:
        """Return the views of a batch, their facts and a generator."""
        ...


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


@dataclass(frozen=True)
class LabelNames:
    """Names of the labels of a set of houses.

    Attributes:
        rooms: R room types, in alphabetical order.
        things: T object categories, in alphabetical order.
    """

    rooms: tuple[str, ...]
    things: tuple[str, ...]

    @classmethod
    def of(cls, houses: Sequence[HousePictures]) -> "LabelNames":
        """Collect every room type and every object category of some houses."""
        rooms = {kind for house in houses for kind in house.room_kinds}
        things = {thing.category for house in houses for thing in house.objects}
        return cls(tuple(sorted(rooms)), tuple(sorted(things - UNMENTIONED)))

    def room(self, facts: Sequence[ViewFacts]) -> np.ndarray:
        """Return (B,) int64: index in `rooms` of the room type that dominates each view.

        `NO_LABEL` where there is none, or one that is not in `rooms`.
        """
        return _indices(self.rooms, [view.room for view in facts])

    def largest(self, facts: Sequence[ViewFacts]) -> np.ndarray:
        """Return (B,) int64: index in `things` of the largest object of each view.

        `NO_LABEL` where there is none, or one that is not in `things`.
        """
        return _indices(self.things, [view.largest for view in facts])

    def shown(self, facts: Sequence[ViewFacts]) -> tuple[np.ndarray, np.ndarray]:
        """Return which categories are visible, and for which that is certain: two (B, T) bool."""
        names = [("thing", name) for name in self.things]
        shown = np.array([[name in view.holds for name in names] for view in facts], bool)
        possible = np.array([[name in view.may_hold for name in names] for view in facts], bool)
        return shown, shown | ~possible


@dataclass(frozen=True)
class LabelScores:
    """Scores of a view classifier; fields are defined as in `ZeroShotScores`."""

    room_accuracy: float
    room_views: int
    thing_precision: float
    thing_categories: int

    def __str__(self) -> str:
        return (
            f"room kind      {self.room_accuracy:6.1%}  ({self.room_views} views)\n"
            f"things, mAP    {self.thing_precision:6.1%}  ({self.thing_categories} categories)"
        )


@dataclass(frozen=True)
class SingleLabelScores:
    """Scores of a classifier of the largest object.

    Attributes:
        accuracy: Accuracy over views with a clearly visible object.
        baseline: Share of the most frequent label among these views.
        views: Number of these views.
    """

    accuracy: float
    baseline: float
    views: int

    def __str__(self) -> str:
        return (
            f"largest object {self.accuracy:6.1%}  (majority {self.baseline:.1%}, "
            f"{self.views} views)"
        )


def single_label_scores(
    things: np.ndarray, facts: Sequence[ViewFacts], names: LabelNames
) -> SingleLabelScores:
    """Score the logits (N, T) of N views."""
    true = names.largest(facts)
    labelled = true != NO_LABEL
    if not labelled.any():
        return SingleLabelScores(np.nan, np.nan, 0)
    return SingleLabelScores(
        accuracy=float((things.argmax(1) == true)[labelled].mean()),
        baseline=float(np.bincount(true[labelled]).max() / labelled.sum()),
        views=int(labelled.sum()),
    )


def label_scores(
    rooms: np.ndarray, things: np.ndarray, facts: Sequence[ViewFacts], names: LabelNames
) -> LabelScores:
    """Score the logits (N, R) and (N, T) of N views."""
    true = names.room(facts)
    labelled = true != NO_LABEL
    shown, judged = names.shown(facts)
    precisions = [
        average_precision(things[judge, column], show[judge])
        for column, (show, judge) in enumerate(zip(shown.T, judged.T, strict=True))
        if enough_to_judge(show, judge)
    ]
    return LabelScores(
        room_accuracy=mean_or_nan((rooms.argmax(1) == true)[labelled]),
        room_views=int(labelled.sum()),
        thing_precision=mean_or_nan(precisions),
        thing_categories=len(precisions),
    )


def single_label_batch(views: Views, names: LabelNames, index: int) -> SingleLabelBatch:
    """Return a batch of views with the label of their largest object."""
    images, facts, _ = views.views(index)
    return SingleLabelBatch(images, torch.from_numpy(names.largest(facts)))


def labelled_batch(views: Views, names: LabelNames, index: int) -> LabelledBatch:
    """Return a batch of views with all labels instead of captions."""
    images, facts, _ = views.views(index)
    shown, judged = (torch.from_numpy(part) for part in names.shown(facts))
    return LabelledBatch(images, torch.from_numpy(names.room(facts)), shown, judged)


def _indices(names: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    index = {name: number for number, name in enumerate(names)}
    return np.array([index.get(label, NO_LABEL) for label in labels], np.int64)
