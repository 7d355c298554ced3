"""Labels of views instead of captions: the kind of room, and which things can be made out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.pretraining.zero_shot import average_precision, enough_to_judge
from envs.houses.views.view_facts import UNMENTIONED, ViewFacts

if TYPE_CHECKING:
    from encoders.pretraining.supervised import LabelledBatch
    from encoders.pretraining.view_sampler import ViewSampler
    from envs.houses.rendering.training_panoramas import HousePictures


@dataclass(frozen=True)
class LabelNames:
    """What the labels of some houses' views are called.

    Attributes:
        rooms: R kinds of rooms, in alphabetical order.
        things: T categories of things.
    """

    rooms: tuple[str, ...]
    things: tuple[str, ...]

    @classmethod
    def of(cls, houses: Sequence[HousePictures]) -> LabelNames:
        """Every kind of room and every category that some houses have."""
        rooms = {kind for house in houses for kind in house.room_kinds}
        things = {thing.category for house in houses for thing in house.objects}
        return cls(tuple(sorted(rooms)), tuple(sorted(things - UNMENTIONED)))

    def room(self, facts: Sequence[ViewFacts]) -> np.ndarray:
        """(B,) int64: place in `rooms` of the only kind that a view plainly shows, else -1.

        A kind that `rooms` lacks counts as none.
        """
        kinds = [known.room for known in facts]
        places = [self.rooms.index(kind) if kind in self.rooms else -1 for kind in kinds]
        return np.array(places, np.int64)

    def shown(self, facts: Sequence[ViewFacts]) -> tuple[np.ndarray, np.ndarray]:
        """Which things can be made out, and of which that is beyond doubt: two (B, T) bool."""
        names = [("thing", name) for name in self.things]
        shown = np.array([[name in known.holds for name in names] for known in facts], bool)
        may = np.array([[name in known.may_hold for name in names] for known in facts], bool)
        return shown, shown | ~may


@dataclass(frozen=True)
class LabelScores:
    """Scores of a classifier of views, as those of the same names in `ZeroShotScores`."""

    room_accuracy: float
    room_views: int
    thing_precision: float
    thing_categories: int

    def __str__(self) -> str:
        return (
            f"room kind      {self.room_accuracy:6.1%}  ({self.room_views} views)\n"
            f"things, mAP    {self.thing_precision:6.1%}  ({self.thing_categories} categories)"
        )


def label_scores(
    rooms: np.ndarray, things: np.ndarray, facts: Sequence[ViewFacts], names: LabelNames
) -> LabelScores:
    """Score the logits (N, R) and (N, T) of N views."""
    true = names.room(facts)
    plain = true >= 0
    shown, judged = names.shown(facts)
    precisions = [
        average_precision(things[judge, column], show[judge])
        for column, (show, judge) in enumerate(zip(shown.T, judged.T, strict=True))
        if enough_to_judge(show, judge)
    ]
    return LabelScores(
        room_accuracy=float((rooms.argmax(1) == true)[plain].mean()) if plain.any() else np.nan,
        room_views=int(plain.sum()),
        thing_precision=float(np.mean(precisions)) if precisions else np.nan,
        thing_categories=len(precisions),
    )


def labelled_batches(
    sampler: ViewSampler, names: LabelNames, first: int = 0
) -> Iterator[LabelledBatch]:
    """The views of a sampler's batches with their labels, without end, from a number on."""
    import torch

    from encoders.pretraining.supervised import LabelledBatch

    number = first
    while True:
        images, facts, _ = sampler.views(number)
        shown, judged = (torch.from_numpy(part) for part in names.shown(facts))
        yield LabelledBatch(images, torch.from_numpy(names.room(facts)), shown, judged)
        number += 1
