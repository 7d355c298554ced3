"""Labels of views instead of captions: room type, visible object categories, largest object."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from clipnav.encoders.pretraining.single_label import SingleLabelBatch
from clipnav.encoders.pretraining.supervised import NO_LABEL, LabelledBatch
from clipnav.encoders.pretraining.zero_shot import average_precision, enough_to_judge, mean_or_nan
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.houses.views.view_facts import UNMENTIONED, ViewFacts


class Views(Protocol):
    """Source of training views."""

    def views(self, index: int) -> tuple[torch.Tensor, list[ViewFacts], np.random.Generator]:
        """Return the views of a batch, their facts and a generator."""
        ...


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
