"""How one refers to objects: "the fridge", "the red sofa", "the chairs".

A reference is good at a decision point when what it names shows in the direction to take and not in
the others; `contrast` measures that on a survey's ground truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from envs.houses.survey.visibility import HEADING_STEPS, Survey

DULL_COLOURS = ("brown", "white", "grey", "beige")  # those of most things, said less readily
# Spoken noun and how readily a person mentions the thing. What is missing here is never mentioned:
# it is everywhere (walls, curtains, lights) or hard to tell from its neighbours.
NOUNS: dict[str, tuple[str, float]] = {
    "bed": ("bed", 1.0),
    "nightstand": ("nightstand", 0.4),
    "wardrobe": ("wardrobe", 0.9),
    "dresser": ("dresser", 0.7),
    "sofa": ("sofa", 1.2),
    "armchair": ("armchair", 1.0),
    "coffee table": ("coffee table", 0.6),
    "tv stand": ("television", 1.0),
    "bookshelf": ("bookshelf", 1.0),
    "floor lamp": ("lamp", 0.5),
    "plant": ("plant", 0.7),
    "dining table": ("dining table", 1.0),
    "chair": ("chair", 0.3),
    "sideboard": ("sideboard", 0.7),
    "kitchen counter": ("counter", 0.7),
    "kitchen sink": ("sink", 0.6),
    "stove": ("stove", 0.8),
    "fridge": ("fridge", 1.2),
    "stool": ("stool", 0.4),
    "desk": ("desk", 1.0),
    "office chair": ("office chair", 0.6),
    "toilet": ("toilet", 0.9),
    "washbasin": ("sink", 0.8),
    "bathtub": ("bathtub", 1.2),
    "shower": ("shower", 1.0),
    "mirror": ("mirror", 0.6),
    "picture": ("painting", 0.25),
    "rug": ("rug", 0.8),
    "washing machine": ("washing machine", 1.1),
    "laundry basket": ("laundry basket", 0.5),
    "treadmill": ("treadmill", 1.1),
    "exercise ball": ("exercise ball", 0.8),
    "piano": ("piano", 1.3),
    "toy chest": ("toy chest", 0.7),
    "coat rack": ("coat rack", 0.7),
    "shoe rack": ("shoe rack", 0.6),
    "aquarium": ("aquarium", 1.0),
    "fireplace": ("fireplace", 1.2),
    "grandfather clock": ("clock", 0.9),
    "entrance bench": ("bench", 0.7),
    "dumbbell rack": ("dumbbell rack", 0.7),
    "globe": ("globe", 0.6),
    "guitar": ("guitar", 0.8),
    "ironing board": ("ironing board", 0.7),
    "rocking horse": ("rocking horse", 0.8),
    "statue": ("statue", 0.8),
    "teddy bear": ("teddy bear", 0.7),
    "trash can": ("trash can", 0.3),
    "umbrella stand": ("umbrella stand", 0.6),
    "wall clock": ("clock", 0.3),
    "entrance door": ("front door", 0.9),
}
_CATEGORIES = {
    noun: [category for category, (other, _) in NOUNS.items() if other == noun]
    for noun, _ in NOUNS.values()
}
PLURALS = {"chair", "stool", "painting"}
NOTICED = 0.006  # fraction of a view that an object must fill for a person to reckon with it


@dataclass(frozen=True)
class Landmark:
    """A reference to one object, or to several that a plural names.

    Attributes:
        noun: Spoken noun, singular.
        colour: The colour that is said, "" where none is.
        things: Indices of the objects meant.
    """

    noun: str
    colour: str
    things: tuple[int, ...]

    @property
    def words(self) -> str:
        """The reference without its article."""
        noun = self.noun + ("s" if len(self.things) > 1 else "")
        return f"{self.colour} {noun}".strip()

    def matches(self, survey: Survey) -> np.ndarray:
        """Which objects of a house the words fit: (N,) bool."""
        fits = np.isin(survey.categories, _CATEGORIES[self.noun])
        return fits & (survey.colours == self.colour) if self.colour else fits


def noun_of(category: str) -> str:
    """Spoken noun of a category, "" for what is never mentioned."""
    return NOUNS.get(category, ("", 0.0))[0]


def contrast(survey: Survey, landmark: Landmark, here: int, there: int) -> float:
    """How much a landmark singles out one edge of the graph, as a fraction of a view.

    That is the area of everything the words fit in the view towards `there`, less the largest such
    area in the views towards other neighbours.
    """
    fitting = survey.areas[here][:, landmark.matches(survey)].sum(axis=1)  # (12,)
    taken = survey.view(here, there)
    others = {survey.view(here, int(other)) for other in np.flatnonzero(survey.edges[here])}
    rivals = [fitting[view] for view in others if _steps_apart(view, taken) > 1]
    return float(fitting[taken] - max(rivals, default=0.0))


def references(
    survey: Survey, here: int, things: Iterable[int], rng: np.random.Generator
) -> list[tuple[Landmark, float]]:
    """Ways to refer to each of some objects as seen from a viewpoint, with their weights.

    A plain noun that fits several noticed things is no good, unless a plural takes them all; then
    the colour is said if that helps. Where nothing forces it, colour is said now and then.
    """
    noticed = np.flatnonzero(survey.areas[here].max(axis=0) >= NOTICED)
    found = []
    for thing in things:
        category, colour = survey.objects[thing].category, survey.objects[thing].colour
        noun, weight = NOUNS.get(category, ("", 0.0))
        if not noun:
            continue
        alike = [int(o) for o in noticed if noun_of(survey.objects[o].category) == noun]
        same_colour = [o for o in alike if survey.objects[o].colour == colour]
        together = tuple(alike) if noun in PLURALS else (thing,)
        if len(alike) <= 1 or (len(together) > 1 and rng.random() < 0.5):
            plain = Landmark(noun, "", together if len(alike) > 1 else (thing,))
            found.append((plain, weight))
        if colour and len(same_colour) <= 1:
            dull = colour in DULL_COLOURS
            forced = len(alike) > 1
            found.append(
                (Landmark(noun, colour, (thing,)), weight * (0.4 if dull else 1.0 + forced))
            )
    return found


def _steps_apart(first: int, second: int) -> int:
    apart = abs(first - second)
    return min(apart, HEADING_STEPS - apart)
