"""References to objects: "the fridge", "the red sofa", "the chairs".

A reference is useful at a decision point if its objects are visible in the right direction and not
in the others; `contrast` measures this on the ground truth of a survey.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.survey.visibility import HEADING_STEPS, Survey

DULL_COLOURS = ("brown", "white", "grey", "beige")  # common colours, mentioned less often
# Noun and weight of each category. Short instructions never mention other categories: they are in
# every room (walls, curtains, lights) or hard to distinguish from adjacent objects.
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
NOTICED = 0.006  # smallest fraction of a view for a person to notice an object


@dataclass(frozen=True)
class Landmark:
    """Reference to one object, or to several objects with a plural.

    Attributes:
        noun: Noun in the singular.
        colour: Mentioned colour, or "".
        things: Indices of the mentioned objects.
    """

    noun: str
    colour: str
    things: tuple[int, ...]

    @property
    def words(self) -> str:
        """Text of the reference without an article."""
        noun = self.noun + ("s" if len(self.things) > 1 else "")
        return f"{self.colour} {noun}".strip()

    def matches(self, survey: Survey) -> np.ndarray:
        """Return the objects of a house with this noun and colour: (N,) bool."""
        fits = np.zeros(len(survey.objects), dtype=bool)
        for category in _CATEGORIES[self.noun]:
            if category in survey.of_category:
                fits |= survey.of_category[category]
        return fits & (survey.colours == self.colour) if self.colour else fits


def noun_of(category: str) -> str:
    """Return the noun of a category, or "" if it is never mentioned."""
    return NOUNS.get(category, ("", 0.0))[0]


def contrast(survey: Survey, landmark: Landmark, here: int, there: int) -> float:
    """Return how well a landmark identifies one edge of the graph, as a fraction of a view.

    The value is the visible area of all matching objects in the view towards `there`, minus the
    largest such area in the views towards other neighbours.
    """
    visible = survey.areas[here][:, landmark.matches(survey)].sum(axis=1)  # (12,)
    taken = survey.view(here, there)
    others = {survey.view(here, int(other)) for other in np.flatnonzero(survey.edges[here])}
    rivals = [visible[view] for view in others if _steps_apart(view, taken) > 1]
    return float(visible[taken] - max(rivals, default=0.0))


def references(
    survey: Survey, here: int, things: Iterable[int], rng: np.random.Generator
) -> list[tuple[Landmark, float]]:
    """Return references to some objects as seen from a viewpoint, with weights.

    A bare noun must fit only one noticed object, or all of them with a plural. A reference with a
    colour must fit only one. A colour that is not needed gets a lower weight.
    """
    noticed = np.flatnonzero(survey.areas[here].max(axis=0) >= NOTICED)
    options = []
    for thing in things:
        category, colour = survey.objects[thing].category, survey.objects[thing].colour
        noun, weight = NOUNS.get(category, ("", 0.0))
        if not noun:
            continue
        same_noun = [int(o) for o in noticed if noun_of(survey.objects[o].category) == noun]
        same_colour = [o for o in same_noun if survey.objects[o].colour == colour]
        together = tuple(same_noun) if noun in PLURALS else (thing,)
        if len(same_noun) <= 1 or (len(together) > 1 and rng.random() < 0.5):
            plain = Landmark(noun, "", together if len(same_noun) > 1 else (thing,))
            options.append((plain, weight))
        if colour and len(same_colour) <= 1:
            is_needed = len(same_noun) > 1
            factor = 0.4 if colour in DULL_COLOURS else 1.0 + is_needed
            options.append((Landmark(noun, colour, (thing,)), weight * factor))
    return options


def _steps_apart(first: int, second: int) -> int:
    apart = abs(first - second)
    return min(apart, HEADING_STEPS - apart)
